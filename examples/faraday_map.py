r"""Rotation-measure maps from a directory of images: the whole analysis, with figures and a report.

    python examples/faraday_map.py DIR --z 1.52 --galactic-rm -150 --out results/
    python examples/faraday_map.py --smoke --out results/          # on a source that it simulates itself

Reads the FITS images of Stokes I, Q and U, convolves them to a common beam, aligns the bands on the optically thin jet
where there is one, fits every polarized pixel, finds the EVPA offsets of the channels from all of them, and tells how
far the result can be trusted.

Writes to --out: maps.fits, rotation.png, evpa.png, aliases.png, depolarization.png, summary.json, report.md, and where
the images allow it offsets.png, spectral_index.png and core_shift.png.
"""

import argparse
import importlib.metadata
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import matplotlib

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from physics import faraday, files  # noqa: E402
from physics.constants import DEGREE, MILLIARCSECOND  # noqa: E402
from physics.faraday import simulate  # noqa: E402

OUTPUTS = (
    "maps.fits",
    "rotation.png",
    "evpa.png",
    "aliases.png",
    "depolarization.png",
    "summary.json",
    "report.md",
)
WHERE_POSSIBLE = ("offsets.png", "spectral_index.png", "core_shift.png")
CORE_ERROR = 0.05  # of the position of a core, in beams
BEAMS = {12: (1.2, 0.7), 15: (0.95, 0.55), 24: (0.65, 0.35), 43: (0.4, 0.2)}  # mas, by GHz, of the simulation


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, nargs="?", metavar="DIR", help="FITS images; without it, a simulation")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--z", type=float, help="redshift, for rotation measures in the frame of the source")
    parser.add_argument("--galactic-rm", type=float, default=0.0, help="foreground, taken off before [rad/m2]")
    parser.add_argument("--galactic-rm-error", type=float, default=0.0, help="its error [rad/m2]")
    parser.add_argument("--max-rm", type=float, help="largest rotation measure searched [rad/m2]")
    parser.add_argument("--band-error", type=float, default=3.0, help="EVPA zero point of a band [deg] (default 3)")
    parser.add_argument("--channel-error", type=float, default=5.0, help="and of each channel [deg] (default 5)")
    parser.add_argument("--clean-error", type=float, default=1.5, help="CLEAN error in units of the noise")
    parser.add_argument("--d-term", type=float, default=0.002, help="residual leakage of an antenna")
    parser.add_argument("--align", choices=("auto", "always", "never"), default="auto", help="align the bands")
    parser.add_argument("--core-radius", type=float, default=1.5, help="left out of the alignment [beams]")
    parser.add_argument("--seed", type=int, default=0, help="of simulated noise")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    return parser.parse_args()


def simulated(folder: Path, seed: int, size: int) -> dict[str, Any]:
    """Write FITS images of a jet with knots, whose bands differ in beam and position, and return its truth."""
    keys = jax.random.split(jax.random.key(seed), 6)
    frequency = np.asarray(simulate.FOUR_BANDS)
    offset = np.asarray(simulate.draw_offsets(frequency, faraday.EvpaError(), key=keys[0]))
    shifts = 0.08 * np.asarray(jax.random.normal(keys[1], (4, 2)))
    truth: dict[str, Any] = {"evpa_offset_deg": np.degrees(offset).tolist(), "shift_mas": {}}
    for band, (ghz, widths) in enumerate(BEAMS.items()):
        chosen = slice(4 * band, 4 * band + 4)
        shift = np.zeros(2) if ghz == 43 else shifts[band]
        beam = (widths[0] * MILLIARCSECOND, widths[1] * MILLIARCSECOND, -10.0 * DEGREE)
        sky = jet(size, shift, 1.5 / ghz)
        cube = simulate.observe(
            sky, frequency[chosen], noise=2e-4, key=keys[2 + band], beam=beam, evpa_offset=offset[chosen]
        )
        truth["shift_mas"][f"{ghz} GHz"] = (-shift).tolist()
        faraday.write_cube(cube, folder / f"{ghz}GHz.fits")
    return truth


def jet(size: int, shift: np.ndarray, core: float) -> simulate.ModelSky:
    """Return a core and knots along a position angle of 60 degrees; `shift` (RA, Dec) and `core` in mas."""
    frame = simulate.frame((size, size), 0.1 * MILLIARCSECOND, name="simulated jet")
    ra, dec = (x / MILLIARCSECOND for x in frame.offsets((size, size)))
    east, north = ra[None, :] - shift[0] + np.zeros((size, 1)), dec[:, None] - shift[1] + np.zeros((1, size))
    along, across = east * math.sin(1.05) + north * math.cos(1.05), east * math.cos(1.05) - north * math.sin(1.05)

    def blob(flux: float, distance: float, aside: float, width: float) -> np.ndarray:
        s = width / math.sqrt(8.0 * math.log(2.0))
        profile = np.exp(-0.5 * ((along - distance) ** 2 + (across - aside) ** 2) / s**2)
        return flux * 0.01 / (2.0 * math.pi * s**2) * profile

    knots = (
        blob(0.3, 0.8, 0.0, 0.4) + blob(0.3, 2.2, 0.5, 0.35) + blob(0.25, 2.9, -0.4, 0.35) + blob(0.1, 3.6, 0.3, 0.4)
    )
    rm = 600.0 - 150.0 * along + 300.0 * np.tanh(across)
    fraction = 0.03 + 0.06 / (1.0 + np.exp(-3.0 * (along - 1.0)))
    screen = faraday.ThinScreen(jnp.asarray(fraction), jnp.asarray(0.5 + 0.2 * along), jnp.asarray(rm))
    intensity = jnp.asarray(knots + blob(1.0, core, 0.0, 0.25))
    return simulate.ModelSky(intensity, screen, frame, spectral_index=-0.4)


def aligned(cube: Any, args: argparse.Namespace) -> tuple[Any, Any, str]:
    """Return the cube, aligned if that is wanted and possible, the alignment, and what is to be said of it."""
    if args.align == "never":
        return cube, None, "The bands were not aligned: not asked for."
    try:
        found = faraday.align(cube, core_radius=args.core_radius, realizations=12 if args.smoke else 50)
    except ValueError as error:
        if args.align == "always":
            raise
        return cube, None, f"The bands were **not aligned** and lie as their phase calibration left them: {error}."
    return cube.aligned(found), found, "The bands were aligned on the jet outside of the core."


def pixel_summary(maps: Any, rest: Any, y: int, x: int) -> dict[str, Any]:
    ra, dec = (
        offsets[i] / MILLIARCSECOND for offsets, i in zip(maps.frame.offsets(maps.rm.shape), (x, y), strict=True)
    )
    summary = {
        "ra_mas": float(ra),
        "dec_mas": float(dec),
        "rm_rad_per_m2": float(maps.rm[y, x]),
        "rm_error": float(maps.rm_error[y, x]),
        "rm_error_noise": float(maps.rm_error_noise[y, x]),
        "rm_error_common": float(maps.rm_error_common[y, x]),
        "evpa0_deg": float(faraday.degrees_0_180(maps.evpa0[y, x])),
        "evpa0_error_deg": float(maps.evpa0_error[y, x]) / DEGREE,
        "alias_rm": float(maps.alias_rm[y, x]),
        "alias_log_odds": float(maps.alias_log_odds[y, x]),
        "alias_log_odds_flat_prior": float(maps.alias_log_odds_flat[y, x]),
        "chi2": float(maps.chi2[y, x]),
        "dof": float(maps.dof[y, x]),
        "fraction_percent": {
            f"{nu / 1e9:.2f} GHz": [100.0 * float(maps.fraction_band[b, y, x]), 100.0 * float(e)]
            for b, (nu, e) in enumerate(zip(maps.band_frequency, maps.fraction_band_error[:, y, x], strict=True))
        },
        "spectral_index": float(maps.spectral_index[y, x]),
        "spectral_index_error": float(maps.spectral_index_error[y, x]),
        "said": maps.explain(y, x),
    }
    if rest is not None:
        summary |= {"rest_frame_rm": float(rest.rm[y, x]), "rest_frame_rm_error": float(rest.rm_error[y, x])}
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in summary.items()}


def draw(folder: Path, maps: Any, offsets: Any, spectral: Any, alignment: Any, law: Any) -> None:
    faraday.plot_rotation(maps, folder / "rotation.png")
    faraday.plot_map(maps, "evpa0", folder / "evpa.png", ticks=12)
    faraday.plot_map(maps, "alias_log_odds_flat", folder / "aliases.png")
    faraday.plot_map(maps, "depolarization_class", folder / "depolarization.png")
    if offsets is not None:
        faraday.plot_offsets(offsets, folder / "offsets.png")
    if spectral is not None:
        faraday.plot_spectral_index(spectral, folder / "spectral_index.png")
    if law is not None:
        faraday.plot_core_shift(alignment, law, folder / "core_shift.png")


def or_none(function: Any, *positional: Any, **named: Any) -> tuple[Any, str]:
    """Return what a step gives, or None and why it cannot be done for these images."""
    try:
        return function(*positional, **named), ""
    except ValueError as error:
        return None, str(error)


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    lines = [" | ".join(map(str, row)) for row in (head, ("---",) * len(head), *rows)]
    return [*(f"| {line} |" for line in lines), ""]


def report(cube: Any, maps: Any, summary: dict[str, Any], said: dict[str, str], found: dict[str, Any]) -> str:
    """Return the report in Markdown; every number comes from this run."""
    beam = np.asarray(cube.beam[0])
    lines = [f"# Rotation measure of {cube.frame.object or 'the source'}", ""]
    lines += [
        f"{len(cube.frequency)} channels in {len(maps.band_frequency)} bands; common beam "
        f"{beam[0] / MILLIARCSECOND:.3g} x {beam[1] / MILLIARCSECOND:.3g} mas at {np.degrees(beam[2]):.1f} deg. "
        f"{said['alignment']}",
        "",
    ]
    if found["alignment"] is not None:
        shift, error = (
            np.asarray(x) / MILLIARCSECOND for x in (found["alignment"].shift, found["alignment"].shift_error)
        )
        rows = [
            (f"{nu / 1e9:.2f}", f"{s[0]:+.4f} ± {e[0]:.4f}", f"{s[1]:+.4f} ± {e[1]:.4f}", f"{c:.4f}")
            for nu, s, e, c in zip(
                found["alignment"].frequency, shift, error, found["alignment"].correlation, strict=True
            )
        ]
        lines += table(("band [GHz]", "to the east [mas]", "to the north [mas]", "correlation"), rows)
    law = found["law"]
    if law is not None:
        size = np.hypot(*np.asarray(law.omega)) / MILLIARCSECOND
        lines += [
            f"Core shift: {size:.3f} mas at 1 GHz along a position angle of {np.degrees(law.position_angle):.0f} deg, "
            f"k_r = {law.exponent:.2f} ± {np.sqrt(law.covariance[2, 2]):.2f} "
            f"(chi² {law.chi2:.1f} for {law.dof:.0f} degrees of freedom).",
            "",
        ]
    elif said["core shift"]:
        lines += [f"No law of the core shift: {said['core shift']}.", ""]
    lines += ["## Maps", "", f"{summary['valid_pixels']} pixels are valid. In percent of them:", ""]
    lines += table(("what to be careful with", "%"), [(k, f"{v:.1f}") for k, v in summary["flagged_percent"].items()])
    for name, pixel in summary["pixels"].items():
        lines += pixel_lines(name, pixel, summary["redshift"])
    lines += offset_lines(found["offsets"], summary, said)
    lines += [
        "## How far to trust it",
        "",
        "The common part of an error moves all pixels alike: it limits the sign of a rotation measure, not a gradient. "
        "A sign also depends on the foreground that was taken off. EVPA at zero wavelength is across the magnetic "
        "field only where the source is thin and does not move fast.",
        "",
        "Files: maps.fits (all maps, with coordinates and HISTORY), the figures, summary.json.",
    ]
    return "\n".join(lines) + "\n"


def pixel_lines(name: str, pixel: dict[str, Any], redshift: float | None) -> list[str]:
    fractions = ", ".join(f"{m:.2f} ± {e:.2f} at {band}" for band, (m, e) in pixel["fraction_percent"].items())
    lines = [
        f"### {name}, {pixel['ra_mas']:+.2f} mas east, {pixel['dec_mas']:+.2f} mas north",
        "",
        f"- rotation measure {pixel['rm_rad_per_m2']:.0f} ± {pixel['rm_error']:.0f} rad/m² "
        f"(noise {pixel['rm_error_noise']:.0f}, common {pixel['rm_error_common']:.0f})",
    ]
    if redshift is not None:
        lines.append(
            f"- in the frame of the source {pixel['rest_frame_rm']:.0f} ± {pixel['rest_frame_rm_error']:.0f} rad/m²"
        )
    if pixel["alias_log_odds_flat_prior"] is not None:
        lines.append(
            f"- next best {pixel['alias_rm']:.0f} rad/m²: log odds {pixel['alias_log_odds']:.1f}, "
            f"without the prior {pixel['alias_log_odds_flat_prior']:.1f}"
        )
    return [
        *lines,
        f"- EVPA at zero wavelength {pixel['evpa0_deg']:.1f} ± {pixel['evpa0_error_deg']:.1f} deg",
        f"- polarization [%]: {fractions}",
        f"- chi² {pixel['chi2']:.1f} for {pixel['dof']:.0f} degrees of freedom; {pixel['said']}",
        "",
    ]


def offset_lines(offsets: Any, summary: dict[str, Any], said: dict[str, str]) -> list[str]:
    lines = ["## EVPA calibration", ""]
    if offsets is None:
        return [*lines, f"No offsets: {said['offsets']}.", ""]
    lines += [
        f"Pixels used, a beam or more apart: {int(offsets.used.sum())}. chi² {offsets.chi2:.1f} with them, "
        f"{offsets.chi2_without:.1f} without, for {offsets.dof:.0f} degrees of freedom. Without offset errors "
        f"{summary['misfit_without_offsets_percent']:.0f} % of the pixels misfit.",
        "",
    ]
    value, error = (np.degrees(np.asarray(x)) for x in (offsets.offset, offsets.offset_error))
    rows = [
        (f"{nu / 1e9:.3f}", f"{v:+.1f} ± {e:.1f}") for nu, v, e in zip(offsets.frequency, value, error, strict=True)
    ]
    return lines + table(("channel [GHz]", "offset [deg]"), rows)


def analysis(directory: Path, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make everything from the images of a directory; return the summary."""
    cube, alignment, text = aligned(faraday.read_cube(directory).to_common_beam(), args)
    law, why_no_law = None, ""
    if alignment is not None:
        # Where the peak of a core lies, beside a jet that blends with it, is known to some part of the beam.
        law, why_no_law = or_none(faraday.fit_core_shift, alignment, core_error=CORE_ERROR * cube.beam[0, 1])
    noise = faraday.NoiseModel(clean=args.clean_error, d_term=args.d_term)
    errors = faraday.EvpaError(args.band_error * DEGREE, args.channel_error * DEGREE)
    common = {"max_rm": args.max_rm, "sigma": noise}
    maps = faraday.fit_map(cube, evpa_error=errors, **common)
    naive, _ = or_none(faraday.fit_map, cube, evpa_error=None, **common)
    offsets, why = or_none(faraday.fit_offsets, cube, maps, sigma=noise)
    spectral, _ = or_none(faraday.spectral_index, cube)
    rest = None
    if args.z is not None:
        rest = maps.rest_frame(args.z, galactic_rm=args.galactic_rm, galactic_rm_error=args.galactic_rm_error)
    maps.write(folder / "maps.fits", rest_frame=rest)
    draw(folder, maps, offsets, spectral, alignment, law)
    valid = np.asarray(maps.valid)
    flags = {
        f.name.lower(): f
        for f in (faraday.PixelFlag.MISFIT, faraday.PixelFlag.AMBIGUOUS, faraday.PixelFlag.PRIOR_DECIDES)
    }
    places = {
        "Brightest valid pixel": np.where(valid, np.asarray(maps.intensity), -np.inf),
        "Most polarized intensity": np.where(valid, np.asarray(maps.polarized_intensity), -np.inf),
    }
    chosen: dict[str, Any] = {}
    for name, values in places.items():
        pixel = pixel_summary(maps, rest, *np.unravel_index(values.argmax(), values.shape))
        if pixel not in chosen.values():
            chosen[name] = pixel
    misfit = None
    if naive is not None:
        misfit = 100.0 * float(np.mean(np.asarray(naive.flagged(faraday.PixelFlag.MISFIT))[np.asarray(naive.valid)]))
    summary = {
        "object": cube.frame.object,
        "redshift": args.z,
        "galactic_rm": args.galactic_rm,
        "channels": len(cube.frequency),
        "valid_pixels": int(valid.sum()),
        "flagged_percent": {n: 100.0 * float(np.mean(np.asarray(maps.flagged(f))[valid])) for n, f in flags.items()},
        "misfit_without_offsets_percent": misfit,
        "pixels": chosen,
        "aligned": alignment is not None,
        "shift_mas": None if alignment is None else (np.asarray(alignment.shift) / MILLIARCSECOND).tolist(),
        "shift_error_mas": None if alignment is None else (np.asarray(alignment.shift_error) / MILLIARCSECOND).tolist(),
        "offset_deg": None if offsets is None else np.degrees(np.asarray(offsets.offset)).tolist(),
        "versions": {name: importlib.metadata.version(name) for name in ("physneuro", "jax", "astropy")},
    }
    said = {"alignment": text, "offsets": why, "core shift": why_no_law}
    found = {"alignment": alignment, "law": law, "offsets": offsets}
    (folder / "report.md").write_text(report(cube, maps, summary, said, found))
    return summary


def main() -> None:
    args = arguments()
    with files.publishing(args.out, OUTPUTS, optional=WHERE_POSSIBLE, overwrite=args.overwrite) as folder:
        started = time.perf_counter()
        truth = None
        if args.directory is None:
            with tempfile.TemporaryDirectory() as made:
                truth = simulated(Path(made), args.seed, 96 if args.smoke else 128)
                summary = analysis(Path(made), args, folder)
        else:
            summary = analysis(args.directory, args, folder)
        summary |= {"truth": truth, "seconds": round(time.perf_counter() - started, 1)}
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    for name, pixel in summary["pixels"].items():
        print(f"{name}: RM {pixel['rm_rad_per_m2']:.0f} +- {pixel['rm_error']:.0f} rad/m2; {pixel['said']}")
    for path in sorted(args.out.iterdir()):
        print(f"  {path}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"faraday_map: {type(error).__name__}: {error}")
