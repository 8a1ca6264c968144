import subprocess
import sys

import pytest

import segnet


def test_every_public_name_is_there_and_none_is_hidden() -> None:
    homes = [name for names in segnet._HOMES.values() for name in names]
    assert sorted(homes) == sorted(segnet.__all__)
    assert len(set(homes)) == len(homes)
    for name in segnet.__all__:
        assert getattr(segnet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Predictr'"):
        _ = segnet.Predictr


def test_importing_does_no_work() -> None:
    code = "import sys, segnet; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
