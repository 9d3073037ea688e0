# One recipe for every network on Fashion-MNIST, 128 images per step.
_base_ = './runtime.py'

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        flat_decay_mult=0.,
        custom_keys={
            '.alpha': dict(decay_mult=0.),
            '.beta': dict(decay_mult=0.)
        }),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=128)
param_scheduler = dict(
    type='WarmupCosineLR',
    warmup_ratio=0.1,
    start_factor=1e-2,
    by_epoch=True,
    convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=15, val_interval=1)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=1))
randomness = dict(seed=0)
