import pytest

from segnet import errors
from segnet.errors import SegNetError, nearest


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigError", ValueError),
        ("DataError", OSError),
        ("LabelError", ValueError),
        ("ShapeError", ValueError),
        ("WeightsError", OSError),
        ("NonFiniteError", FloatingPointError),
        ("ExportError", ArithmeticError),
        ("CallbackError", RuntimeError),
    ],
)
def test_each_error_is_also_its_builtin(name: str, builtin: type[Exception]) -> None:
    error = getattr(errors, name)
    with pytest.raises(builtin, match="expected a, got b"):
        raise error("expected a, got b")
    with pytest.raises(SegNetError, match="expected a, got b"):
        raise error("expected a, got b")


def test_the_tree_in_the_docstring_names_every_error() -> None:
    classes = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, SegNetError)]
    assert len(classes) == 9
    assert errors.__doc__ is not None
    for error in classes:
        builtin = error.__bases__[-1].__name__
        expected = error.__name__ if error is SegNetError else f"+-- {error.__name__:<15} ({builtin})"
        assert expected in errors.__doc__


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("segnt", "did you mean 'segnet'?"),
        ("segnet-basik", "did you mean 'segnet-basic'?"),
        ("zzz", "known: segnet, segnet-basic"),
        ("", "known: segnet, segnet-basic"),
    ],
)
def test_nearest_name_or_all_names(name: str, words: str) -> None:
    assert nearest(name, ["segnet-basic", "segnet"]) == words
