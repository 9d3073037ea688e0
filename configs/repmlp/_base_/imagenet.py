# ImageNet-1k in data/imagenet, 64 images per process. Each config names the
# pipelines, which go with its image size.
_base_ = './loaders.py'

data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],  # of RGB images
    std=[58.395, 57.12, 57.375],
    to_rgb=True)

train_dataloader = dict(
    batch_size=64,
    pin_memory=True,
    dataset=dict(
        type='ImageNetFolder',
        data_root='data/imagenet',
        ann_file='meta/train.txt',
        data_prefix='train'))
val_dataloader = dict(
    batch_size=64,
    pin_memory=True,
    dataset=dict(
        type='ImageNetFolder',
        data_root='data/imagenet',
        ann_file='meta/val.txt',
        data_prefix='val'))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
