"""The files that a sweep writes while it runs."""

import yaml

from inksweep.paths import SweepDir
from inksweep.sweep.progress.summary import write_settings


def test_text_that_is_only_kept_is_no_interpolation(tmp_path):
    # As a shell quotes `y=${oc.decode:'3'}`: what OmegaConf cannot read.
    kept = {"command": """python app.py 'y=${oc.decode:'"'"'3'"'"'}'""", "overrides": ["y=${", "z=1e-3"], "n": 1e-05}
    write_settings(SweepDir(tmp_path), kept)
    assert yaml.safe_load((tmp_path / "sweep.yaml").read_text()) == kept
