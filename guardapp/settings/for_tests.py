"""Variables that only the tests read."""

from guardapp.env import Section

read = Section("Tests")

read.elsewhere(
    "GUARDAPP_REQUIRE_SERVICES",
    "`0` or `1`",
    "`0`",
    "`1`: without a browser, PostgreSQL, Redis or vLLM, tests fail instead of being skipped",
)
read.elsewhere(
    "GUARDAPP_TEST_POSTGRES",
    "address",
    "`postgresql://postgres@127.0.0.1:5432`",
    "server on which tests create and drop their own databases",
)
read.elsewhere("GUARDAPP_TEST_REDIS", "address", "`redis://127.0.0.1:6379/9`", "Redis database that the tests empty")
read.elsewhere(
    "GUARDAPP_TEST_VLLM",
    "path",
    "empty: those tests are skipped",
    "Python of an environment with vLLM; `make test-vllm` creates one and sets this",
)
read.elsewhere(
    "GUARDAPP_REFERENCE_DATA",
    "path",
    "empty",
    "folder of reference data for tests that compare with published figures",
)
