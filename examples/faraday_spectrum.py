"""One polarization spectrum in, everything out: fits, Faraday spectrum, components, competing models, posterior.

    python examples/faraday_spectrum.py [FILE] --out DIR [--max-rm RM] [--models thin,external,...]

FILE is text with the columns freq_Hz I Q U dI dQ dU or freq_Hz q u dq du, or ECSV. Without it a source of two
components behind different screens is simulated, from 0.8 to 2 GHz.

Writes to --out:
    polarization.png     q, u and EVPA against wavelength squared, with the model of the highest evidence
    faraday_spectrum.png synthesised and cleaned Faraday spectrum, components, peaks, RMSF
    aliases.png          rotation measures that could explain the data, with their odds
    posterior.png        corner plot of the model of the highest evidence
    spectrum.ecsv        the data as read, with units
    summary.json         fits, peaks, evidences and the posterior in numbers, versions and device
    report.md            the same in words
"""

import argparse
import importlib.metadata
import json
import math
import sys
import time
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import physics  # noqa: E402
from physics import faraday, files  # noqa: E402

MODELS = {
    "thin": faraday.ThinScreen,
    "external": faraday.ExternalDispersion,
    "slab": faraday.BurnSlab,
    "internal": faraday.InternalDispersion,
    "two-thin": (faraday.ThinScreen, faraday.ThinScreen),
}
OUTPUTS = (
    "polarization.png",
    "faraday_spectrum.png",
    "aliases.png",
    "posterior.png",
    "spectrum.ecsv",
    "summary.json",
    "report.md",
)
LONGEST_LIST = 16
"""Channels up to which a line through the angles is fitted too: every set of half turns is tried."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="polarization spectrum; simulated without it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--max-rm", type=float, help="largest |RM| searched [rad/m^2]; by default what channels carry")
    parser.add_argument(
        "--models",
        default="thin,external,slab,two-thin",
        help=f"of {', '.join(MODELS)} (default %(default)s; internal takes longer than all others)",
    )
    parser.add_argument("--amplitude", choices=("constant", "free"), default="constant", help="of the Q/U fit")
    parser.add_argument("--threshold", type=float, default=4.0, help="of RM-CLEAN [sigma] (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    args = parser.parse_args()
    args.models = args.models.split(",")
    unknown = set(args.models) - set(MODELS)
    if unknown:
        parser.error(f"--models: unknown {', '.join(sorted(unknown))}; expected some of {', '.join(MODELS)}")
    return args


def simulated(seed: int, *, channels: int) -> tuple[faraday.PolarizationSpectrum, dict]:
    """Return a source of two components and its truth: fractions of I, 0.8 to 2 GHz, noise 0.004 in q and u."""
    truth = {"fraction": (0.12, 0.07), "evpa0": (0.6, -0.9), "rm": (-35.0, 62.0)}
    frequency = jnp.linspace(0.8e9, 2.0e9, channels)
    L = faraday.lambda_squared(frequency)
    each = [faraday.ThinScreen(**{name: values[n] for name, values in truth.items()}) for n in range(2)]
    p = each[0](L) + each[1](L)
    sigma = 0.004
    noise = sigma * jax.random.normal(jax.random.key(seed), (2, channels))
    spectrum = faraday.PolarizationSpectrum(
        frequency=frequency,
        q=p.real + noise[0],
        u=p.imag + noise[1],
        sigma_q=jnp.full(channels, sigma),
        sigma_u=jnp.full(channels, sigma),
        mask=jnp.ones(channels, bool),
        name="simulated",
        position=(1.0, 0.5),
    )
    return spectrum, {"simulated": {name: list(values) for name, values in truth.items()}}


def fractions(spectrum: faraday.PolarizationSpectrum) -> tuple[tuple, dict]:
    """Return q, u, their errors and mask as fractions of a smooth model of I, if I is known."""
    if spectrum.intensity is None:
        return (spectrum.q, spectrum.u, spectrum.sigma, spectrum.mask), {}
    model = faraday.fit_intensity(spectrum.frequency, spectrum.intensity, spectrum.sigma_i, mask=spectrum.mask)
    if not bool(model.valid):
        sys.exit("Stokes I is not significant, or its model is not positive: give fractions of it instead.")
    sigma_q, sigma_u = (model.fraction(spectrum.frequency, spectrum.polarization, s)[1] for s in spectrum.sigma)
    p, _, mask = model.fraction(spectrum.frequency, spectrum.polarization, spectrum.sigma_q)
    summary = {
        "stokes_I": float(model.coefficients[0]),
        "at_GHz": float(model.reference_frequency) / 1e9,
        "order_by_AIC": int(model.order),
        "spectral_index": float(model.coefficients[1]),
    }
    return (p.real, p.imag, (sigma_q, sigma_u), mask & spectrum.mask), summary


def default_search(L: jax.Array) -> float:
    """Return thirty widths of the RMSF or what the channels carry, whichever is less [rad/m^2]."""
    widest = faraday.depth_axis(L)
    width = float(faraday.rm_synthesis(L, jnp.ones(len(L), complex), widest[[0, len(widest) // 2, -1]]).fwhm)
    return min(float(widest[-1]), 30.0 * width)


def rotation(L: jax.Array, data: tuple, max_rm: float, amplitude: str, folder: Path) -> dict:
    """Fit Q and U, and the angles where there are few; draw the aliases."""
    q, u, sigma, mask = data
    fit = faraday.fit_rotation(L, q, u, sigma, max_rm=max_rm, mask=mask, amplitude=amplitude)
    faraday.plot_aliases(fit, path=folder / "aliases.png")
    summary = {"q_u_fit": described(fit)}
    if len(L) <= LONGEST_LIST:
        size = jnp.hypot(q, u)
        error = faraday.angle_error(size / jnp.sqrt(0.5 * (sigma[0] ** 2 + sigma[1] ** 2)))
        summary["angle_fit"] = described(faraday.fit_angles(L, faraday.evpa(q, u), error, max_rm=max_rm, mask=mask))
    return summary


def described(fit: faraday.RotationFit) -> dict:
    return {
        "rm_rad_per_m2": float(fit.rm),
        "rm_error_rad_per_m2": number(fit.rm_error),
        "evpa0_deg": float(faraday.degrees_0_180(fit.evpa0)),
        "evpa0_error_deg": number(jnp.degrees(fit.evpa0_error)),
        "chi2": float(fit.chi2),
        "dof": int(fit.dof),
        "p_value": float(fit.p_value),
        "next_alias_rad_per_m2": float(fit.alias_rm[1]),
        "next_alias_log_odds": number(fit.alias_log_odds[1]),
    }


def number(x: jax.Array) -> float | None:
    return float(x) if math.isfinite(float(x)) else None


def synthesis(L: jax.Array, data: tuple, max_rm: float, threshold: float, folder: Path) -> dict:
    """Synthesise, clean, find peaks; draw them."""
    q, u, (sigma_q, sigma_u), mask = data
    sigma = jnp.sqrt(0.5 * (sigma_q**2 + sigma_u**2))
    depth = faraday.depth_axis(L, max_depth=max_rm)
    fdf = faraday.rm_synthesis(L, jax.lax.complex(q, u), depth, sigma=sigma, mask=mask)
    cleaned = faraday.rm_clean(fdf, threshold_sigma=threshold)
    peaks = faraday.find_peaks(cleaned, count=4, threshold_sigma=6.0)
    faraday.plot_faraday_spectrum(cleaned, peaks=peaks, label="fraction", path=folder / "faraday_spectrum.png")
    found = np.asarray(peaks.found)
    alarm = faraday.false_alarm_probability(peaks.signal_to_noise, fdf)
    return {
        "rmsf_fwhm_rad_per_m2": float(fdf.fwhm),
        "noise": float(fdf.noise),
        "clean_iterations": int(cleaned.iterations),
        "clean_converged": bool(cleaned.converged),
        "second_moment_rad_per_m2": float(cleaned.spread),
        "peaks": [
            {
                "depth_rad_per_m2": float(peaks.depth[n]),
                "depth_error_rad_per_m2": float(peaks.depth_error[n]),
                "fraction": float(peaks.amplitude_debiased[n]),
                "evpa0_deg": float(faraday.degrees_0_180(peaks.evpa0[n])),
                "signal_to_noise": float(peaks.signal_to_noise[n]),
                "false_alarm_probability": float(alarm[n]),
            }
            for n in np.flatnonzero(found)
        ],
    }


def competing(
    L: jax.Array, data: tuple, max_rm: float, names: list[str], seed: int, folder: Path, *, smoke: bool
) -> dict:
    """Weigh the models by their evidence, sample the best of them, and draw it."""
    q, u, sigma, mask = data
    given = {"priors": {"rm": faraday.UniformPrior(-max_rm, max_rm)}, "mask": mask}
    log_evidence = {n: float(faraday.evidence(MODELS[n], L, q, u, sigma, **given).log_evidence) for n in names}
    best = max(log_evidence, key=log_evidence.__getitem__)
    draws = 100 if smoke else 500
    posterior = faraday.sample(MODELS[best], L, q, u, sigma, key=jax.random.key(seed + 1), samples=draws, **given)
    faraday.plot_polarization(L, q, u, sigma, mask=mask, model=posterior, path=folder / "polarization.png")
    faraday.plot_posterior(posterior, path=folder / "posterior.png")
    summary = posterior.summary()
    return {
        "log_evidence": log_evidence,
        "best": best,
        "converged": bool(posterior.converged),
        "divergences": int(posterior.divergences),
        "parameters": {
            name: {"unit": unit, "median": float(middle), "lower": float(low), "upper": float(high)}
            for name, unit, middle, low, high in zip(
                summary.names, summary.units, summary.median, summary.lower, summary.upper, strict=True
            )
        },
    }


def report(summary: dict) -> str:
    """Return the summary in words, as Markdown."""
    fit, spectrum, models = summary["rotation"]["q_u_fit"], summary["synthesis"], summary["models"]
    lines = [
        f"# Faraday rotation of {summary['name']}",
        "",
        f"{summary['channels']} channels, {summary['frequency_GHz'][0]:.4g} to {summary['frequency_GHz'][1]:.4g} GHz; "
        f"depths up to {summary['max_rm_rad_per_m2']:.4g} rad/m^2.",
        "",
        "## One thin screen",
        "",
        f"RM {fit['rm_rad_per_m2']:.2f} rad/m^2, EVPA0 {fit['evpa0_deg']:.2f} deg; chi^2 {fit['chi2']:.0f} for "
        f"{fit['dof']} degrees of freedom (p = {fit['p_value']:.2g}).",
        "",
        "## Faraday spectrum",
        "",
        f"RMSF {spectrum['rmsf_fwhm_rad_per_m2']:.4g} rad/m^2 wide; width of the source (second moment) "
        f"{spectrum['second_moment_rad_per_m2']:.3g} rad/m^2.",
        "",
        "| depth [rad/m^2] | error if alone | fraction | EVPA0 [deg] | S/N | false alarm |",
        "|---|---|---|---|---|---|",
        *(
            f"| {p['depth_rad_per_m2']:.2f} | {p['depth_error_rad_per_m2']:.2f} | {p['fraction']:.4f} | "
            f"{p['evpa0_deg']:.1f} | {p['signal_to_noise']:.1f} | {p['false_alarm_probability']:.1g} |"
            for p in spectrum["peaks"]
        ),
        "",
        "## Models",
        "",
        "| model | log evidence |",
        "|---|---|",
        *(f"| {n} | {v:.1f} |" for n, v in sorted(models["log_evidence"].items(), key=lambda item: -item[1])),
        "",
        f"Posterior of {models['best']} ({'' if models['converged'] else 'NOT '}converged):",
        "",
        "| parameter | median | 68 per cent |",
        "|---|---|---|",
        *(
            f"| {n} [{v['unit'] or '1'}] | {v['median']:.4g} | {v['lower']:.4g} to {v['upper']:.4g} |"
            for n, v in models["parameters"].items()
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    args = arguments()
    with files.publishing(args.out, OUTPUTS, overwrite=args.overwrite) as folder:
        spectrum, truth = (
            simulated(args.seed, channels=48 if args.smoke else 144)
            if args.file is None
            else (faraday.read_spectrum(args.file), {})
        )
        started = time.perf_counter()
        data, intensity = fractions(spectrum)
        L = spectrum.lambda_squared
        max_rm = args.max_rm or default_search(L)
        models = args.models[:2] if args.smoke else args.models
        faraday.write_spectrum(spectrum, folder / "spectrum.ecsv")
        summary = {
            "name": spectrum.name or (args.file.name if args.file else "simulated"),
            "channels": int(spectrum.mask.sum()),
            "frequency_GHz": [float(spectrum.frequency.min()) / 1e9, float(spectrum.frequency.max()) / 1e9],
            "max_rm_rad_per_m2": max_rm,
            **truth,
            **({"intensity": intensity} if intensity else {}),
            "rotation": rotation(L, data, max_rm, args.amplitude, folder),
            "synthesis": synthesis(L, data, max_rm, args.threshold, folder),
            "models": competing(L, data, max_rm, models, args.seed, folder, smoke=args.smoke),
            "seed": args.seed,
            "versions": {"physneuro": physics.__version__, "jax": importlib.metadata.version("jax")},
            "device": jax.devices()[0].device_kind,
            "seconds": round(time.perf_counter() - started, 1),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
        (folder / "report.md").write_text(report(summary))
    print(report(summary))
    print(f"wrote {', '.join(OUTPUTS)} to {args.out}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"faraday_spectrum: {type(error).__name__}: {error}")
