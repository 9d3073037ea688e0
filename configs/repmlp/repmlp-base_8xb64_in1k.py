_base_ = [
    './_base_/repmlp_base.py', './_base_/imagenet.py',
    './_base_/schedule_300ep.py', './_base_/runtime.py'
]

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackClsInputs'),
]
# As the weights that mmcls hosts were tested: resized to 256x256, whatever
# the proportions.
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=(256, 256), backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
