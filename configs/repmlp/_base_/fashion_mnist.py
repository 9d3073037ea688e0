# Fashion-MNIST in data/fashion-mnist: the four idx files, unpacked. The last
# 5,000 images of the training set validate, the rest train.
_base_ = './loaders.py'

data_preprocessor = dict(num_classes=10, mean=[72.94], std=[90.02])

# Images that are in memory stay as they are; files are read and resized.
__load = [
    dict(type='LoadImageStrict', color_type='grayscale'),
    dict(type='Resize', scale=28, interpolation='area')
]
train_pipeline = [
    dict(type='RandomCrop', crop_size=28, padding=2),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackClsInputs'),
]
test_pipeline = [*__load, dict(type='PackClsInputs')]

__dataset = dict(type='FashionMNIST', data_prefix='data/fashion-mnist')
train_dataloader = dict(
    batch_size=128,
    num_workers=1,
    drop_last=True,
    dataset=dict(
        **__dataset, test_mode=False, indices=55000, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=250,
    num_workers=1,
    dataset=dict(
        **__dataset, test_mode=False, indices=-5000, pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=250,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**__dataset, test_mode=True, pipeline=test_pipeline))
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
