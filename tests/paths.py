"""Where the parts of the checkout lie that tests start, read or compare with."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "guardapp" / "starter"
REFERENCE_DATA = Path(os.environ.get("GUARDAPP_REFERENCE_DATA") or ROOT.parent / "shared" / "data")
