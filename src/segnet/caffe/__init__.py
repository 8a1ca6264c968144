"""Reading the authors' Caffe weights: `caffemodel.py`, on top of the wire format in `protobuf.py`."""
