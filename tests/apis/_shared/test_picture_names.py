from mmcls_repmlp.apis._shared.picture_names import PictureNames


def test_folders_become_part_of_the_name():
    names = PictureNames('d')
    assert [
        names.of(path, i) for i, path in enumerate(
            ['d/a/1.png', 'd/b/1.png', 'd/a_1.png', 'd/a/1.png'])
    ] == [
        'a_1.png.png', 'b_1.png.png', 'a_1.png_000002.png',
        'a_1.png_000003.png'
    ]


def test_names_fit_file_systems():
    name = PictureNames('d').of(f'd/{"é" * 120}.png', 0)
    assert name.endswith('é.png.png') and len(name.encode()) < 255
