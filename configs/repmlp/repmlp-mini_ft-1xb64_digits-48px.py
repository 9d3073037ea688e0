# The digits' model at 48 pixels, from weights resized from 32; see
# docs/finetuning.md.
_base_ = ['./repmlp-mini_1xb64_digits-32px.py']

load_from = 'work_dirs/digits/48px.pth'
model = dict(backbone=dict(img_size=48))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=48, interpolation='bicubic'),
    dict(type='Rotate', magnitude_range=(0., 12.), prob=0.7, pad_val=0),
    dict(type='RandomCrop', crop_size=48, padding=6),
    dict(type='PackClsInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=48, interpolation='bicubic'),
    dict(type='PackClsInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=2)
