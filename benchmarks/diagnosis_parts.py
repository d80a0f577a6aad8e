"""Which kinds of faults chose the bounds of the rules, and which judge them."""

from diagnosis_cases import FAULTS

# Every other kind is one that bounds were chosen on, the others are judged. Six of
# those were looked at when they were missed, and chose a rule: no judges any more. In
# their place came kinds that were written when all rules were there.
MOVED = (
    "tanh with weights of N(0, 1)",
    "batch normalisation of the answers",
    "pixels 0 to 255",
    "inputs up to 1e6",
    "two hidden units",
    "a softmax over the batch",
)
FRESH = (
    "labels -1 and 1, binary cross-entropy",
    "class numbers before categorical cross-entropy",
    "a column for each class, sparse cross-entropy",
    "gradients clipped to nothing",
)
PARTS = {
    kind: "chosen"
    if kind in MOVED
    else "judged"
    if kind in FRESH
    else ("chosen", "judged")[place % 2]
    for place, kind in enumerate(FAULTS)
}
