"""What every test shares."""

import os

os.environ["PORTAL_PROCESS"] = "tests"
os.environ.setdefault("SECRET_KEY", "only-for-tests")
