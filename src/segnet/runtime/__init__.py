"""Fast inference: a trained model, folded and rewritten for a runtime, behind one protocol (`Backend`).

This package rewrites models of `models` and is used by `inference.Predictor`. It handles models and tensors; it does
not import datasets or training.
"""
