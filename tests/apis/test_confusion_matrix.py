import csv
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from PIL import Image

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.model import load_model
from mmcls_repmlp.apis.confusion_matrix import confusion_matrix
from mmcls_repmlp.errors import UserError
from mmcls_repmlp.host import MODELS, gt_labels


def by_hand(project):
    """Count with the model alone, image by image."""
    model = load_model(project.config, project.trained)
    dataset = Runner.build_dataloader(
        read_config(project.config).test_dataloader).dataset
    counts = [[0] * 10 for _ in range(10)]
    for sample in dataset:
        with torch.no_grad():
            batch = (sample['inputs'][None].float() - 78) / 96
            said = int(model(batch)[0].argmax())
        counts[int(gt_labels(sample['data_samples']))][said] += 1
    return counts


def test_counts_of_both_forms(project):
    expected = by_hand(project)
    assert any(expected[i][j] for i in range(10) for j in range(10) if i != j)
    for config, checkpoint in ((project.config, project.trained),
                               (project.deploy_config, project.merged)):
        matrix = confusion_matrix(config, checkpoint, report=lambda _: None)
        assert matrix.sum(1).tolist() == [sum(row) for row in expected]
        # One image may hang in the balance, which rounding decides.
        moved = abs(matrix - torch.tensor(expected)).sum()
        assert moved <= 2, (matrix, expected)


def test_a_table(project, tmp_path, terminal):
    lines = []
    matrix = confusion_matrix(
        project.config,
        project.trained,
        tmp_path / 'a.csv',
        report=lines.append)
    assert '2/2' in terminal.getvalue()
    with open(tmp_path / 'a.csv', newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['true \\ predicted', *'0123456789']
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == (
        matrix.tolist())
    assert 'a.csv' in lines[-1]


@pytest.mark.parametrize('values', [True, False])
def test_the_picture_says_what_it_shows(project, tmp_path, figures, values):
    lines = []
    matrix = confusion_matrix(
        project.config,
        project.trained,
        tmp_path / 'a.png',
        values,
        report=lines.append)
    with Image.open(tmp_path / 'a.png') as picture:
        assert min(picture.size) > 500
    cells, bar = figures[0].axes
    assert cells.get_title() == lines[0].splitlines()[0]
    assert [int(text.get_text()) for text in cells.texts] == (
        matrix.flatten().tolist() if values else [])
    assert bar.get_ylabel() == 'images'
    assert all(tick == int(tick) for tick in bar.get_yticks())


@MODELS.register_module()
class FirstPixel(BaseModel):
    """Takes an image for the class that its first pixel names."""

    def __init__(self, outputs, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.outputs = outputs
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples, mode):
        scores = torch.eye(self.outputs)[inputs[:, 0, 0, 0].long()]
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(int(score.argmax()))
        return data_samples


@pytest.fixture
def count(tmp_path):
    """Run the job on an image for every pair (true class, class said)."""

    def run(names, pairs, outputs=None, **arguments):
        for i, (true, said) in enumerate(pairs):
            folder = tmp_path / 'data' / names[true]
            folder.mkdir(parents=True, exist_ok=True)
            Image.new('L', (2, 2), said).save(folder / f'{i}.png')
        model = dict(type='FirstPixel', outputs=outputs or len(names))
        Config(
            dict(
                model=model,
                data_preprocessor=dict(type='ClsDataPreprocessor'),
                test_dataloader=dict(
                    batch_size=9,
                    num_workers=0,
                    sampler=dict(type='DefaultSampler', shuffle=False),
                    dataset=dict(
                        type='CustomDataset',
                        data_root=str(tmp_path / 'data'),
                        pipeline=[
                            dict(type='LoadImageFromFile'),
                            dict(type='PackClsInputs')
                        ])))).dump(tmp_path / 'a.py')
        torch.save(dict(weight=torch.zeros(1)), tmp_path / 'a.pth')
        lines = []
        confusion_matrix(
            tmp_path / 'a.py',
            tmp_path / 'a.pth',
            report=lines.append,
            **arguments)
        return lines[0]

    return run


def test_what_is_reported(count):
    pairs = [(0, 0)] * 5 + [(0, 2)] * 2 + [(1, 1)] * 3 + [(2, 0)]
    assert count(
        ['cat', 'dog', 'ox'],
        pairs) == ('11 images, top-1 72.73 %\n'
                   'true class in rows, predicted class in columns:\n'
                   '     cat dog  ox\n cat   5   0   2\n dog   0   3   0\n'
                   '  ox   1   0   0\n'
                   'cat taken for ox: 2 of 7\nox taken for cat: 1 of 1')


def test_many_classes(count, tmp_path):
    names = [f'class {i:02}' for i in range(60)]
    pairs = [(i, i) for i in range(60)] + [(3, 4)] * 7
    assert count(
        names, pairs, out=tmp_path / 'a.png', include_values=True) == (
            '67 images, top-1 89.55 %\nclass 03 taken for class 04: 7 of 8')
    with Image.open(tmp_path / 'a.png') as picture:
        assert picture.format == 'PNG'


@pytest.mark.parametrize('classes', [20, 21])
def test_values_by_themselves_up_to_twenty_classes(count, tmp_path, figures,
                                                   classes):
    names = [f'class {i:02}' for i in range(classes)]
    count(names, [(i, i) for i in range(classes)], out=tmp_path / 'a.png')
    assert bool(figures[0].axes[0].texts) == (classes == 20)


def test_outputs_without_a_name(count):
    assert 'cat taken for class 2: 1 of 2' in count(['cat'], [(0, 0), (0, 2)],
                                                    outputs=3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(checkpoint='pred.pkl'), 'can run code: give the checkpoint'),
     (dict(checkpoint='no.pth'), "'no.pth' does not exist"),
     (dict(out='a.txt'), 'wrong suffix for a matrix: end it in .png or .csv'),
     (dict(config='no.py'), 'does not exist'),
     (dict(cfg_options=dict(test_dataloader=None)), 'no test_dataloader'),
     (dict(cfg_options={'test_dataloader.dataset.data_root': '/nowhere'}),
      "test data set in '/nowhere' cannot be read"),
     (dict(device='toaster'), "device 'toaster' cannot be used here")])
def test_wrong_arguments(project, arguments, message):
    with pytest.raises(UserError, match=message):
        confusion_matrix(**{
            'config': project.config,
            'checkpoint': project.trained,
            **arguments
        })


def test_files_are_not_overwritten(project, tmp_path):
    (tmp_path / 'a.csv').write_text('precious')
    with pytest.raises(UserError, match='force=True'):
        confusion_matrix(project.config, project.trained, tmp_path / 'a.csv')
    assert (tmp_path / 'a.csv').read_text() == 'precious'


def test_a_missing_class_does_not_move_the_others(project, data):
    shutil.rmtree(data / 'val' / '3')
    options = {'test_dataloader.dataset.data_root': str(data)}
    expected = torch.tensor(by_hand(project))
    expected[3] = 0
    lines = []
    matrix = confusion_matrix(
        project.config,
        project.trained,
        cfg_options=options,
        report=lines.append)
    assert matrix.equal(expected)
    assert lines[0].splitlines()[2].split() == [*map(str, range(10))]
    (data / 'val' / '4').rename(data / 'val' / 'cat')
    with pytest.raises(UserError, match=r'1 of the 9 classes .*\(cat\)'):
        confusion_matrix(project.config, project.trained, cfg_options=options)
