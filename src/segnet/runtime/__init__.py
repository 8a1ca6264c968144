"""How a trained model answers fast: folded, in the form a runtime likes, behind one protocol.

Above `models`, whose models it rewrites, and below `engine`, whose Predictor answers by it: it knows models and
tensors, not images, datasets or training.
"""
