from mmcls_repmlp.recipe.datasets import MapLabels


def test_labels_are_replaced():
    steps = MapLabels([2, 0])
    assert steps(dict(gt_label=0, a=1)) == dict(gt_label=2, a=1)
    assert steps(dict(gt_label=[1, 0])) == dict(gt_label=[0, 2])
    assert steps(dict(a=1)) == dict(a=1)
    assert repr(steps) == 'MapLabels(labels=(2, 0))'
