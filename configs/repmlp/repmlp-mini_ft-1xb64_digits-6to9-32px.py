# The digits' model, pre-trained on the digits 0 to 5, learns 6 to 9; see
# docs/finetuning.md.
_base_ = ['./repmlp-mini_1xb64_digits-32px.py']

data_preprocessor = dict(num_classes=4)
model = dict(
    backbone=dict(
        frozen_stages=0,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/digits_0to5/epoch_5.pth',
            prefix='backbone.')),
    head=dict(num_classes=4))

_data = dict(dataset=dict(data_root='data/digits_6to9'))
train_dataloader = _data
val_dataloader = _data
test_dataloader = _data

optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.8))
param_scheduler = [
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=5)
