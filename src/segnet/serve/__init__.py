"""The HTTP service and the web demo: images in, maps of classes out, nothing kept.

One request, one path: `places` takes it or says 429, `upload` reads its bytes, `image` decodes them under limits,
`batches` runs the model on small batches, `answers` writes the requested form. The page in `page/` is a client of the
same service, and the static files that `segnet export --to web` writes.
"""
