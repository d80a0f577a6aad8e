"""PyTorch's tensors in their stranger forms are drawn, or refused in one line."""

import numpy as np
import pytest

from dlkeras import visualization as show

torch = pytest.importorskip("torch")


def test_losses_that_hold_a_graph_are_drawn():
    losses = [torch.tensor(x, requires_grad=True) for x in (1.0, 0.5)]
    (line,) = show.learning_curves({"loss": losses}).axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), [1, 0.5])


def test_a_conjugate_is_drawn_as_the_numbers_that_it_stands_for():
    received = torch.tensor([1 + 2j, 3 + 1j]).conj()
    points = show.constellation(received).axes[0].collections
    drawn = points[0].get_offsets() if points else None
    if drawn is None:
        drawn = show.constellation(received).axes[0].lines[0].get_xydata()
    np.testing.assert_array_equal(drawn, [[1, -2], [3, -1]])


@pytest.mark.parametrize("kind", ["meta", "sparse"])
def test_a_tensor_without_numbers_is_refused_in_one_line(kind):
    given = torch.ones(3, 3, device="meta") if kind == "meta" else None
    given = torch.eye(3).to_sparse() if given is None else given
    photos = np.zeros((3, 8, 8, 3))
    for draw in (
        show.image_grid,
        show.confusion_matrix,
        lambda x: show.misclassified(photos, x, np.eye(3)),
        lambda x: show.gradient_flow([[1.0]], x),
    ):
        with pytest.raises((TypeError, ValueError), match="eceived") as caught:
            draw(given)
        assert "\n" not in str(caught.value)
