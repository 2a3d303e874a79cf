"""Settings that every test needs: no window system, the same examples in every run."""

import matplotlib as mpl
from hypothesis import HealthCheck, settings

mpl.use("Agg", force=True)
settings.register_profile(
    "book", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("book")
