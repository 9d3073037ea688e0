# The digits' model at 48 pixels, from weights resized from 32; see
# docs/finetuning.md.
_base_ = ['./repmlp-mini_1xb64_digits-32px.py']

load_from = 'work_dirs/digits/48px.pth'
img_size = 48
model = dict(backbone=dict(img_size=img_size))

train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = train_pipeline[3].crop_size = img_size
train_pipeline[3].padding = 6
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = img_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=2)
