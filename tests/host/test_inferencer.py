from mmcls_repmlp.host import ImageClassificationInferencer, inferencer


def test_what_is_missing_is_added_and_nothing_replaced(monkeypatch):
    assert hasattr(ImageClassificationInferencer, 'show_progress')
    for given in ({}, dict(show_progress=True)):
        kind = type('Inferencer', (), given)
        monkeypatch.setattr(inferencer, 'ImageClassificationInferencer', kind)
        inferencer.patch_inferencer()
        assert kind.show_progress is bool(given)
