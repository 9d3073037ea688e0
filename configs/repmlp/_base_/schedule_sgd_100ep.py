# The first paper's training (arXiv 2105.01883, section 4.2): 100 epochs of 256
# images per step, the learning rate annealed from 0.1 to 0. The decay is that
# of all parameters, as the paper excepts none.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
# The learning rate is meant for this many images per step: pass
# --auto-scale-lr to adapt it to yours.
auto_scale_lr = dict(base_batch_size=256)

param_scheduler = dict(
    type='CosineAnnealingLR',
    eta_min=0.,
    by_epoch=True,
    convert_to_iter_based=True)

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
