"""UVFITS written here and read back, and models against explicit sums."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits

from physics import faraday
from physics.constants import MILLIARCSECOND
from physics.errors import DataFormatError
from physics.faraday.images.beams import beam_area
from physics.faraday.simulate import frame

FREQUENCIES = 15e9 + np.array([0.0, 1.28e8, 3e8])
STATIONS = ("BR", "FD", "HN")
JD = 2459792.0
SOURCES = ((1.0, 0.0, 0.0, 0.1, 0.02), (0.4, 1.5, -0.7, -0.05, 0.08))
"""I [Jy], offsets to the east and north [mas], Q and U [Jy]."""


def plane(count=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-4e-3, 4e-3, (2, count))


def truth(seconds):
    """I, Q and U of the sources on the baselines, from the defining sum."""
    total = np.zeros((3, seconds.shape[1], len(FREQUENCIES)), complex)
    for i, east, north, q, u in SOURCES:
        path = (seconds[0] * east + seconds[1] * north) * MILLIARCSECOND
        wave = np.exp(2j * np.pi * path[:, None] * FREQUENCIES[None, :])
        total += np.array([i, q, u])[:, None, None] * wave
    return total


def write(path, *, stokes="circular", compressed=False, with_fq=True, large=False, lost=None, change=None):
    """A random-groups file with an IF axis, weights of 4, and two flags."""
    seconds = plane()
    i, q, u = truth(seconds)
    v = 0.02 * i
    sky = [i + v, i - v, q + 1j * u, q - 1j * u] if stokes == "circular" else [i, q, u]
    sky = np.moveaxis(np.stack(sky), 0, -1)
    data = np.stack([sky.real, sky.imag, np.full(sky.shape, 4.0)], -1)
    data[0, 0, 0, 2] = 0.0
    data[1, 1, 2 % len(sky[0, 0]), 2] = -1.0
    data = data[..., :2] if compressed else data
    # (group, DEC, RA, IF, FREQ, STOKES, COMPLEX)
    data = data[:, None, None, :, None].astype(np.float32)
    count = seconds.shape[1]
    baseline = np.tile([258.0, 259.0, 515.0], count // 3)
    if large:
        baseline = 65536 + 2048 * (baseline // 256) + baseline % 256
    names = ["UU---SIN", "VV---SIN", "WW---SIN", "DATE", "DATE", "BASELINE"]
    names = ["OTHER" if name == lost else name for name in names]
    values = [*seconds, np.zeros(count), np.full(count, JD), np.linspace(0.25, 0.5, count), baseline]
    groups = fits.GroupData(data, bitpix=-32, parnames=names, pardata=values)
    hdu = fits.GroupsHDU(groups)
    code = (-1.0, -1.0) if stokes == "circular" else (1.0, 1.0)
    for n, (kind, value, step) in enumerate(
        [
            ("COMPLEX", 1.0, 1.0),
            ("STOKES", *code),
            ("FREQ", 15e9, 1.28e8),
            ("IF", 1.0, 1.0),
            ("RA", 40.0, 1.0),
            ("DEC", 16.0, 1.0),
        ],
        2,
    ):
        hdu.header[f"CTYPE{n}"], hdu.header[f"CRVAL{n}"], hdu.header[f"CDELT{n}"] = kind, value, step
        hdu.header[f"CRPIX{n}"] = 1.0
    hdu.header["OBJECT"], hdu.header["TELESCOP"] = "test", "VLBA"
    offset = (FREQUENCIES - 15e9)[None]
    fq = fits.BinTableHDU.from_columns(
        [fits.Column("FRQSEL", "1J", array=[1]), fits.Column("IF FREQ", "3D", array=offset)], name="AIPS FQ"
    )
    an = fits.BinTableHDU.from_columns(
        [fits.Column("ANNAME", "8A", array=STATIONS), fits.Column("NOSTA", "1J", array=[1, 2, 3])], name="AIPS AN"
    )
    hdus = fits.HDUList([hdu, *([fq] if with_fq else []), an])
    if change:
        change(hdus)
    hdus.writeto(path)
    return seconds


@pytest.mark.parametrize("stokes", ["circular", "linear"])
@pytest.mark.parametrize("large", [False, True])
def test_what_is_written_is_read(tmp_path, stokes, large):
    seconds = write(tmp_path / "a.uvf", stokes=stokes, large=large)
    vis = faraday.read_uvfits(tmp_path / "a.uvf")
    np.testing.assert_allclose(vis.frequency, FREQUENCIES, rtol=1e-12)
    np.testing.assert_array_equal(vis.band, [1, 2, 3])
    np.testing.assert_allclose(vis.u, seconds[0][:, None] * FREQUENCIES, rtol=1e-6)
    np.testing.assert_allclose(vis.v, seconds[1][:, None] * FREQUENCIES, rtol=1e-6)
    expected = truth(seconds)
    kept = np.asarray(vis.weight) > 0
    assert not kept[0, 0, 0]
    assert not kept[1, 1, 1]
    assert kept.sum() == kept.size - 3
    np.testing.assert_allclose(np.where(kept, vis.stokes, 0), np.where(kept, expected, 0), atol=3e-7)
    assert np.all(np.asarray(vis.stokes)[~kept] == 0)
    # Half the sum of two numbers of the variance 1/4 each has 1/8.
    np.testing.assert_allclose(np.unique(np.asarray(vis.weight)[kept]), [8.0 if stokes == "circular" else 4.0])
    np.testing.assert_array_equal(vis.baseline[:3], [[1, 2], [1, 3], [2, 3]])
    np.testing.assert_allclose(vis.time[-1], 21600.0, atol=0.01)
    record = vis.record
    assert (record.object, record.antennas[0], record.telescope) == ("test", (1, "BR"), "VLBA")
    assert record.start == pytest.approx(JD + 0.25 - 2400000.5, abs=1e-6)
    np.testing.assert_allclose(np.degrees(record.position), [40.0, 16.0])


def spoil(keyword, value):
    def change(hdus):
        hdus[0].header[keyword] = value

    return change


def flag_all(hdus):
    hdus[0].data.data[..., 2] = -1.0


def shorten_fq(hdus):
    hdus[1] = fits.BinTableHDU.from_columns([fits.Column("IF FREQ", "1D", array=[0.0])], name="AIPS FQ")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"change": spoil("CTYPE3", "OTHER")}, r"a\.uvf.*expected axes IF, FREQ, STOKES, COMPLEX"),
        ({"change": spoil("CRVAL3", -5.0)}, r"a\.uvf.*STOKES axis: .* got codes \[-5"),
        ({"lost": "UU---SIN"}, r"a\.uvf.*no random parameter UU"),
        ({"lost": "BASELINE"}, r"a\.uvf.*no random parameter BASELINE"),
        ({"change": spoil("CRVAL4", -15e9)}, r"a\.uvf.*frequencies above zero"),
        ({"change": flag_all}, r"a\.uvf.*every visibility is flagged"),
        ({"change": shorten_fq}, r"a\.uvf.*AIPS FQ: expected 3 IFs, got 1"),
        ({"change": lambda hdus: hdus.pop()}, r"a\.uvf: no table AIPS AN"),
        ({"with_fq": False}, r"a\.uvf.*no table AIPS FQ"),
        ({"compressed": True}, r"a\.uvf.*compressed"),
    ],
)
def test_bad_files_are_named(tmp_path, options, match):
    write(tmp_path / "a.uvf", **options)
    with pytest.raises(DataFormatError, match=match):
        faraday.read_uvfits(tmp_path / "a.uvf")


def test_files_that_are_no_visibilities(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b\.uvf"):
        faraday.read_uvfits(tmp_path / "b.uvf")
    fits.writeto(tmp_path / "b.uvf", np.zeros((3, 3)))
    with pytest.raises(DataFormatError, match="GROUPS"):
        faraday.read_uvfits(tmp_path / "b.uvf")
    write(tmp_path / "a.uvf")
    (tmp_path / "c.uvf").write_bytes((tmp_path / "a.uvf").read_bytes()[:6000])
    with pytest.raises(DataFormatError, match=r"c\.uvf: cannot be read as FITS"):
        faraday.read_uvfits(tmp_path / "c.uvf")


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    path = tmp_path_factory.mktemp("uv") / "a.uvf"
    write(path)
    return faraday.read_uvfits(path)


def components(number, extended=0.0):
    flux, east, north = ([s[n] for s in SOURCES] for n in (number, 1, 2))
    wide = np.full(2, extended)
    return faraday.CleanComponents(
        flux=np.array(flux),
        ra=np.array(east) * MILLIARCSECOND,
        dec=np.array(north) * MILLIARCSECOND,
        major=wide,
        minor=wide,
        angle=np.zeros(2),
    )


@pytest.fixture(scope="module")
def model(observed):
    return jnp.stack([faraday.model_visibilities(components(n), observed.u, observed.v) for n in (0, 3, 4)])


def test_components_are_the_sum_of_waves(observed, model):
    np.testing.assert_allclose(model, truth(plane()), atol=2e-6)
    # A round Gaussian of width a has the transform exp(-(pi a rho)^2 / (4 ln 2)).
    width = 0.5 * MILLIARCSECOND
    wide = faraday.model_visibilities(components(0, width), observed.u, observed.v)
    fall = np.exp(-((np.pi * width) ** 2) * np.asarray(observed.u**2 + observed.v**2) / (4 * np.log(2)))
    np.testing.assert_allclose(wide, np.asarray(model[0]) * fall, atol=1e-12)


def test_image_is_the_sum_over_its_pixels(observed):
    sky = frame((6, 7), 0.3 * MILLIARCSECOND)
    image = np.random.default_rng(0).normal(size=(6, 7))
    ra, dec = sky.offsets((6, 7))
    u, v = np.asarray(observed.u[:, 0]), np.asarray(observed.v[:, 0])
    phase = u[:, None, None] * ra[None, None, :] + v[:, None, None] * dec[None, :, None]
    expected = np.sum(image * np.exp(2j * np.pi * phase), axis=(1, 2))
    np.testing.assert_allclose(faraday.model_visibilities(image, u, v, frame=sky), expected, atol=1e-10)
    one = faraday.model_visibilities(image, observed.u, observed.v, frame=sky)
    assert one.shape == observed.u.shape
    np.testing.assert_allclose(one[:, 0], expected, atol=1e-10)


def test_the_beam_of_a_restored_image_is_divided_out(observed):
    sky, beam = frame((64, 64), 0.1 * MILLIARCSECOND), (0.9 * MILLIARCSECOND, 0.6 * MILLIARCSECOND, 0.4)
    restored = components(0).restored((64, 64), sky, beam)
    near = observed.within(longest=3e7)
    kept = np.asarray(near.intensity_weight) > 0
    assert 0 < kept.sum() < kept.size
    u, v = np.asarray(near.u)[kept], np.asarray(near.v)[kept]
    back = faraday.model_visibilities(restored, u, v, frame=sky, beam=beam)
    np.testing.assert_allclose(back, truth(plane())[0][kept], atol=2e-4)
    zero = np.zeros(1)
    total = faraday.model_visibilities(restored, zero, zero, frame=sky)[0].real
    assert float(total) / beam_area(beam, sky.cell) == pytest.approx(1.4, rel=1e-4)


def test_comparison_of_the_truth_and_of_turned_angles(observed, model):
    good = faraday.compare_visibilities(observed, model)
    np.testing.assert_allclose(good.chi2, 0.0, atol=1e-8)
    np.testing.assert_array_equal(good.dof[0], [46, 48, 48])
    np.testing.assert_allclose(good.explained, 1.0, atol=1e-9)
    turn = np.array([0.1, -0.3, 0.02])
    q, u = (np.asarray(x) for x in (observed.Q, observed.U))
    c, s = np.cos(2 * turn), np.sin(2 * turn)
    turned = replace(observed, Q=jnp.asarray(q * c - u * s), U=jnp.asarray(q * s + u * c))
    result = faraday.compare_visibilities(turned, model)
    np.testing.assert_allclose(result.evpa_offset, turn, atol=1e-6)
    assert np.all(np.asarray(result.explained[1:]) < 1.0)
    assert np.all(np.asarray(result.reduced_chi2[1:]) > 0.0)
    assert result.to_quantity("evpa_offset").unit == "rad"
    assert observed.to_quantity("Q").unit == "Jy"
    with pytest.raises(ValueError, match="model"):
        faraday.compare_visibilities(observed, model[:2])


def test_noise_gives_chi2_of_one_and_the_error_of_the_offset(observed, model):
    draws = 200
    rng = np.random.default_rng(3)
    weight = np.asarray(observed.weight)
    sigma = np.where(weight > 0, 1.0 / np.sqrt(np.where(weight > 0, 400.0 * weight, 1.0)), 0.0)
    heavy = replace(
        observed,
        intensity_weight=400.0 * observed.intensity_weight,
        polarization_weight=400.0 * observed.polarization_weight,
    )
    offsets, chi2 = [], []
    compare = jax.jit(faraday.compare_visibilities)
    for _ in range(draws):
        noise = sigma * (rng.normal(size=sigma.shape) + 1j * rng.normal(size=sigma.shape))
        i, q, u = (jnp.asarray(np.asarray(m) + n) for m, n in zip(model, noise, strict=True))
        result = compare(replace(heavy, I=i, Q=q, U=u), model)
        offsets.append(result.evpa_offset)
        chi2.append(result.reduced_chi2)
    np.testing.assert_allclose(np.mean(chi2, axis=0), 1.0, atol=0.06)
    np.testing.assert_allclose(np.std(offsets, axis=0), result.evpa_offset_error, rtol=0.2)
    np.testing.assert_allclose(np.mean(offsets, axis=0), 0.0, atol=4 * np.max(np.std(offsets, axis=0)) / draws**0.5)


def test_dirty_image_is_the_sum_over_visibilities(observed):
    ra, dec = np.array([0.0, 1.5]) * MILLIARCSECOND, np.array([0.0, -0.7, 1.0]) * MILLIARCSECOND
    image = np.asarray(faraday.dirty_image(observed, ra, dec))
    assert image.shape == (3, 3, 3, 2)
    w, q = np.asarray(observed.polarization_weight[:, 1]), np.asarray(observed.Q[:, 1])
    u, v = np.asarray(observed.u[:, 1]), np.asarray(observed.v[:, 1])
    wave = np.exp(-2j * np.pi * (u * ra[1] + v * dec[1]))
    assert image[1, 1, 1, 1] == pytest.approx(np.sum(w * (q * wave).real) / w.sum(), rel=1e-10)
    np.testing.assert_allclose(faraday.dirty_image(observed, ra, dec, uniform=True), image, atol=1e-12)
    with pytest.raises(ValueError, match="dec"):
        faraday.dirty_image(observed, ra, dec[None])


def test_bad_arguments(observed):
    u, v = observed.u, observed.v
    sky = frame((4, 4), 1e-10)
    for call, match in (
        (lambda: faraday.model_visibilities(np.ones((4, 4)), u, v), "frame: expected where"),
        (lambda: faraday.model_visibilities(components(0), u, v, frame=sky), "frame, beam: expected none"),
        (lambda: faraday.model_visibilities(np.ones(4), u, v, frame=sky), "model: expected one image"),
        (lambda: faraday.model_visibilities(np.full((4, 4), np.nan), u, v, frame=sky), "model"),
        (lambda: faraday.model_visibilities(np.ones((4, 4)), u, v[:2], frame=sky), "u: expected the shape"),
        (lambda: observed.within(longest=1.0), "no visibility lies between"),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_gradient_and_single_precision(observed):
    sky = frame((8, 8), 0.3 * MILLIARCSECOND)
    u, v = observed.u[:4, 0], observed.v[:4, 0]

    def power(image):
        return jnp.sum(jnp.abs(faraday.model_visibilities(image, u, v, frame=sky)) ** 2)

    image = jnp.asarray(np.random.default_rng(1).normal(size=(8, 8)))
    step = 1e-6 * jnp.zeros((8, 8)).at[3, 2].set(1.0)
    slope = (power(image + step) - power(image - step)) / 2e-6
    assert float(jax.grad(power)(image)[3, 2]) == pytest.approx(float(slope), rel=1e-6)
    single = faraday.model_visibilities(
        image.astype(jnp.float32), u.astype(jnp.float32), v.astype(jnp.float32), frame=sky
    )
    assert single.dtype == jnp.complex64
    np.testing.assert_allclose(single, faraday.model_visibilities(image, u, v, frame=sky), atol=1e-4)
