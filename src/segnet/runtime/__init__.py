"""How a trained net answers fast: folded, in the form a runtime likes, behind one protocol.

Above `models`, whose nets it rewrites, and below `engine`, whose Predictor answers by it: it knows nets and tensors,
not pictures, data sets or training.
"""
