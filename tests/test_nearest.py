"""The gallery of real images: what is nearest, and what of an image its components keep."""

from types import SimpleNamespace

import pytest
import torch

from flowdemo.evaluation import nearest
from flowdemo.evaluation.classifier import judge
from flowdemo.evaluation.nearest import COMPONENTS, FILE, ROWS, gallery, gallery_of
from flowdemo.files import save_tensors


@pytest.fixture(scope="module")
def digits():
    return gallery("mnist")


def test_the_gallery_that_ships_has_all_its_parts(digits):
    assert digits.shape == (1, 28, 28)
    assert digits.features.shape == (ROWS, 64) and digits.codes.shape == (ROWS, COMPONENTS)
    assert digits.components.shape == (28 * 28, COMPONENTS) and digits.mean.shape == (28 * 28,)
    for part in (digits.features, digits.codes, digits.components, digits.mean):
        assert part.dtype == torch.float32 and torch.isfinite(part).all()
    eye = torch.eye(COMPONENTS)
    torch.testing.assert_close(digits.components.T @ digits.components, eye, atol=2e-3, rtol=0)
    variance = digits.codes.var(0)
    assert (variance[:-4] > variance[4:]).all()  # the largest first


def test_the_nearest_is_found_by_hand():
    features = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    none = torch.zeros(3, 0)
    rows, distance = nearest.Gallery(1.0, features, none, none, none, (1, 1, 1)).nearest(
        torch.tensor([[3.0, 4.0], [9.0, 1.0], [0.0, 6.0], [20.0, 0.0]])
    )
    assert rows.tolist() == [0, 1, 2, 1]
    torch.testing.assert_close(distance, torch.tensor([5, 2**0.5, 4, 10]))


def test_redrawn_images_are_pixels_of_the_rows_that_were_asked_for(digits):
    rows = torch.tensor([7, 7, 3999])
    redrawn = digits.redrawn(rows)
    assert redrawn.shape == (3, 1, 28, 28) and torch.equal(redrawn[0], redrawn[1])
    assert not torch.equal(redrawn[0], redrawn[2])
    many = digits.redrawn(torch.arange(500))
    assert many.min() == 0 and many.max() == 1
    assert (many < 0.05).float().mean() > 0.4  # a digit is light strokes on black


def test_features_and_codes_are_of_the_same_images(digits):
    """The classifier sees in a redrawn image about what it saw in the image itself."""
    rows = torch.arange(200)
    features, _ = judge("mnist").look(digits.redrawn(rows))
    own = (features - digits.features[rows]).norm(dim=1)
    another = (features - digits.features[rows.roll(1)]).norm(dim=1)
    assert (own < another).float().mean() > 0.95 and own.median() < 0.3 * another.median()


def test_data_without_a_gallery_has_none():
    assert gallery("moons") is None and gallery("none") is None


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Seven images of 2 x 3 pixels, mixed from two patterns, and a gallery of the first four."""
    monkeypatch.setattr(nearest, "ROWS", 4)
    monkeypatch.setattr(nearest, "COMPONENTS", 2)
    monkeypatch.setattr(nearest, "FOLDER", tmp_path)
    patterns = torch.tensor([[1.0, 0, 1, 0, 1, 0], [0, 0, 0, 1, 1, 1]])
    shares = torch.tensor(
        [[0, 0], [0.5, 0], [0.5, 0.25], [0, 0.5], [0.1, 0.4], [0.25, 0.25], [0.5, 0.5]]
    )
    pixels = (shares @ patterns).reshape(7, 1, 2, 3)
    # One feature: 0, 1, 4, 4.5 of the first four, hence the nearest other ones at 1, 1, 0.5, 0.5.
    seen = torch.tensor([[0.0], [1], [4], [4.5]])
    referee = SimpleNamespace(look=lambda images: (seen[: len(images)], None))
    gallery.cache_clear()
    yield pixels, kept("tiny", pixels, referee)
    gallery.cache_clear()


def kept(name, pixels, referee):
    """The gallery of these images, written and read again."""
    (nearest.FOLDER / name).mkdir()
    save_tensors(gallery_of(pixels, referee), nearest.FOLDER / name / FILE)
    return gallery(name)


def test_with_enough_components_images_are_redrawn_as_they_were(tiny):
    pixels, found = tiny
    assert found.shape == (1, 2, 3) and len(found.codes) == len(found.features) == 4
    torch.testing.assert_close(found.redrawn(torch.arange(4)), pixels[:4], atol=2e-3, rtol=0)
    torch.testing.assert_close(
        found.redrawn(torch.tensor([2, 0])), pixels[[2, 0]], atol=2e-3, rtol=0
    )


def test_the_typical_distance_by_hand(tiny):
    assert tiny[1].typical == 0.5  # the lower median of 0.5, 0.5, 1, 1


def test_what_is_kept_of_an_image_is_along_the_largest_variance(tiny, monkeypatch):
    """With one component only: the images of one pattern's share, about the mean."""
    monkeypatch.setattr(nearest, "COMPONENTS", 1)
    pixels = torch.zeros(6, 1, 1, 2)
    pixels[:, 0, 0, 0] = torch.tensor([0.0, 1, 0, 1, 0, 1])
    pixels[:, 0, 0, 1] = torch.tensor([0.5, 0.5, 0.6, 0.6, 0.4, 0.4])
    referee = SimpleNamespace(look=lambda images: (torch.arange(4.0)[:, None], None))
    redrawn = kept("other", pixels, referee).redrawn(torch.arange(4))
    torch.testing.assert_close(redrawn[:, 0, 0, 0], pixels[:4, 0, 0, 0], atol=2e-3, rtol=0)
    torch.testing.assert_close(redrawn[:, 0, 0, 1], torch.full((4,), 0.5), atol=2e-3, rtol=0)
