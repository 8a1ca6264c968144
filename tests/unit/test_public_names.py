import subprocess
import sys
from importlib import import_module

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


def test_the_predictor_imports_neither_scipy_nor_matplotlib() -> None:
    heavy = ("scipy", "matplotlib", "onnx", "openvino", "fastapi", "av", "rasterio", "pyarrow", "yaml", "torchvision")
    code = (
        f"import sys\nfrom segnet import Predictor, load, open_dataset\nprint([m for m in {heavy} if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr


@pytest.mark.parametrize("room", ["data", "metrics", "nn", "training"])
def test_the_public_names_of_a_room_are_there(room: str) -> None:
    module = import_module(f"segnet.{room}")
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None, name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing
