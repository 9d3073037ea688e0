from mmengine.config import Config

from mmcls_repmlp.recipe.settings import iter_items, set_classes


def test_every_item_of_nested_settings():
    settings = dict(a=1, b=[dict(c=2), (3, )])
    assert [*iter_items(settings)] == [
        ('a', 1), ('b', settings['b']), (None, dict(c=2)), ('c', 2),
        (None, (3, )), (None, 3)
    ]  # yapf: disable
    assert not [*iter_items(None)]


def test_all_that_depends_on_the_number_of_classes():
    cfg = Config(
        dict(
            model=dict(head=dict(num_classes=10, topk=(1, 5))),
            data_preprocessor=dict(num_classes=10),
            val_evaluator=dict(type='Accuracy', topk=5)))
    set_classes(cfg, 3)
    assert cfg.model.head == dict(num_classes=3, topk=(1, ))
    assert cfg.data_preprocessor.num_classes == 3
    assert cfg.val_evaluator.topk == ()
