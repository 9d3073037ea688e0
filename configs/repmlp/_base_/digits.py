# Handwritten digits as a folder of images, a subfolder per class.
_base_ = './loaders.py'

data_preprocessor = dict(
    num_classes=10, mean=[78., 78., 78.], std=[96., 96., 96.], to_rgb=False)

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=32, interpolation='bicubic'),
    dict(type='Rotate', magnitude_range=(0., 12.), prob=0.7, pad_val=0),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='PackClsInputs'),
]
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=32, interpolation='bicubic'),
    dict(type='PackClsInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(
        type='ImageFolder',
        data_root='data/digits',
        data_prefix='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(
        type='ImageFolder',
        data_root='data/digits',
        data_prefix='val',
        pipeline=test_pipeline))
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
