# Your own images in data/custom/{train,val}/CLASS/IMAGE, at 224 pixels, 32 per
# process. The classes are the subfolders, in the order of their names.
_base_ = './loaders.py'

data_preprocessor = dict(
    mean=[123.675, 116.28, 103.53],  # of RGB images, as in pre-training
    std=[58.395, 57.12, 57.375],
    to_rgb=True)

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackClsInputs'),
]
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackClsInputs'),
]

train_dataloader = dict(
    batch_size=32,
    pin_memory=True,
    dataset=dict(
        type='ImageFolder',
        data_root='data/custom',
        data_prefix='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    pin_memory=True,
    dataset=dict(
        type='ImageFolder',
        data_root='data/custom',
        data_prefix='val',
        pipeline=test_pipeline))
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
