from mmcls_repmlp.jobs.shared.picture_names import PictureNames


def test_folders_become_part_of_the_name():
    names = PictureNames('d')
    given = {
        'd/a b/é.png': 'a b_é.png.png',
        'd/b/1.png': 'b_1.png.png',
        'd/b_1.png': 'b_1.png_000002.png',
        '../d/e.png': '.._.._d_e.png.png',
    }
    assert [names.of(path, i)
            for i, path in enumerate(given)] == [*given.values()]
    assert names.of('d/b/1.png', 9) == 'b_1.png_000009.png'


def test_names_fit_file_systems():
    name = PictureNames('d').of(f'd/{"é" * 120}.png', 0)
    assert name.endswith('é.png.png') and len(name.encode()) < 255
