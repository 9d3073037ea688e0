# Aligned faces in data/faces/{train,val}/IDENTITY/IMAGE, 64 per process. The
# identities of val are others than those of train: they are verified in pairs.
_base_ = './custom_folder.py'

data_preprocessor = dict(mean=[127.5, 127.5, 127.5], std=[128., 128., 128.])

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=(96, 96)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackClsInputs'),
]
test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=(96, 96)),
    dict(type='PackClsInputs'),
]

train_dataloader = dict(
    batch_size=64,
    dataset=dict(data_root='data/faces', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    dataset=dict(data_root='data/faces', pipeline=test_pipeline))
val_evaluator = dict(_delete_=True, type='PairVerification')
test_dataloader = val_dataloader
test_evaluator = val_evaluator
