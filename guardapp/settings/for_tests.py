"""Variables that only the tests read."""

from guardapp.env import Section

read = Section("The tests")

read.elsewhere(
    "GUARDAPP_REQUIRE_SERVICES",
    "`0` or `1`",
    "`0`",
    "`1`: a browser, PostgreSQL or Redis that is not there is a failure and not a skip",
)
read.elsewhere(
    "GUARDAPP_TEST_POSTGRES",
    "address",
    "`postgresql://postgres@127.0.0.1:5432`",
    "server on which tests make and drop databases of their own",
)
read.elsewhere("GUARDAPP_TEST_REDIS", "address", "`redis://127.0.0.1:6379/9`", "Redis database that the tests empty")
read.elsewhere(
    "GUARDAPP_TEST_VLLM",
    "path",
    "empty: those tests are skipped",
    "Python of an environment that has vLLM; `make test-vllm` makes one and sets it",
)
read.elsewhere(
    "GUARDAPP_REFERENCE_DATA",
    "path",
    "empty",
    "folder of reference data for the tests that compare with published figures",
)
