"""What users' code relies on: a name may be added here, none may go without a major version."""

import importlib
import inspect
import re

import pytest
from contracts.tree import ROOT

PROMISED = {
    "physics": {"faraday", "numerics", "tdi"},
    "physics.tdi": {
        "LISA",
        "TAIJI",
        "TIANQIN",
        "Combination",
        "Detector",
        "InstrumentNoise",
        "LightPath",
        "LightTimes",
        "LinkSeries",
        "SensitivityCurve",
        "antenna_pattern",
        "asd",
        "closure",
        "combination",
        "combine_links",
        "curve",
        "link_correlations",
        "noise_covariance",
        "noise_psd",
        "response",
        "response_covariance",
        "sensitivity",
        "simulate_links",
    },
    "physics.faraday": {
        "Alignment",
        "BeamGradient",
        "BurnSlab",
        "ChannelAverage",
        "CleanComponents",
        "CleanedSpectrum",
        "Components",
        "CubeFiles",
        "CoreShift",
        "Evidence",
        "EvpaOffsets",
        "ExternalDispersion",
        "FaradayPeaks",
        "FaradaySpectrum",
        "Foreground",
        "GradientSlices",
        "GradientTest",
        "HalfNormalPrior",
        "IntensityModel",
        "InternalDispersion",
        "NoiseModel",
        "ObservationRecord",
        "Parameter",
        "JetPath",
        "PixelFlag",
        "PlaneFit",
        "PolarizationSpectrum",
        "Posterior",
        "PosteriorSummary",
        "PowerLaw",
        "RandomForeground",
        "RayleighPrior",
        "RestFrameMap",
        "RotationFit",
        "RotationMap",
        "Screen",
        "SelfAbsorbedSource",
        "SelfAbsorbedSpectrum",
        "SpectralIndexMap",
        "Spectrum",
        "StokesCube",
        "ThinScreen",
        "TopHatSpread",
        "Tribble",
        "UniformPrior",
        "align",
        "Visibilities",
        "VisibilityComparison",
        "angle_density",
        "angle_error",
        "bandwidth_depolarization",
        "circular_from_stokes",
        "compare_visibilities",
        "debias",
        "depth_axis",
        "evidence",
        "dirty_image",
        "false_alarm_probability",
        "faraday_depth",
        "find_peaks",
        "fit_angles",
        "fit_core_shift",
        "fit_intensity",
        "fit_map",
        "fit_map_in_blocks",
        "fit_offsets",
        "fit_plane",
        "fit_rotation",
        "from_degrees",
        "gradient_slices",
        "gradient_test",
        "lambda_squared",
        "lambda_squared_width",
        "model_visibilities",
        "open_cube",
        "parameters",
        "polarization_sigma",
        "polarized_peaks",
        "read_cube",
        "read_polspectra",
        "read_rmtable",
        "read_spectrum",
        "rest_frame_rm",
        "read_uvfits",
        "rm_clean",
        "rm_synthesis",
        "rm_tools_model",
        "rmtable_row",
        "rmtable_rows",
        "sample",
        "simulate",
        "spectral_index",
        "stokes_from_circular",
        "synchrotron_fraction",
        "synthesis_peaks",
        "with_parameters",
        "write_cube",
        "write_faraday_cube",
        "write_peak_maps",
        "write_polspectra",
        "write_rmtable",
        "write_spectrum",
    },
    "physics.numerics": {
        "batching",
        "checks",
        "fourier",
        "langevin",
        "likelihood",
        "lstsq",
        "quadratic_langevin",
        "quadrature",
        "sharding",
        "special",
    },
    "neuro": {"baselines", "data", "langevinflow", "metrics", "plotting"},
    "neuro.baselines": {"ConditionRates", "PoissonReadout", "SmoothedRates", "condition_rates", "smoothed_rates"},
    "neuro.data": {
        "SpikeTrials",
        "block_split",
        "from_events",
        "from_spike_list",
        "lorenz",
        "nlb_submission",
        "nlb_target",
        "read_lfads",
        "read_nlb",
        "read_nwb",
        "read_reaches",
        "read_spike_list",
        "read_tetrodes",
        "read_tracking",
        "tile_windows",
        "write_lfads",
        "write_nlb_input",
        "write_nlb_submission",
        "write_nlb_target",
    },
    "neuro.metrics": {"TrialScores", "bits_per_spike", "evaluate_nlb", "rate_r2", "score_trials"},
    "neuro.plotting": {"plot_rasters", "plot_rates"},
    "neuro.langevinflow": {
        "Config",
        "LangevinFlow",
        "OfficialFlow",
        "RecurrentAutoencoder",
        "Release",
        "Stream",
        "fit",
        "load",
        "load_official_weights",
        "official_forward",
        "predict",
        "predict_rates",
    },
}
LEADING = ["frequency", "det", "channel", "family", "generation", "shift", "method"]


@pytest.mark.parametrize("package", PROMISED)
def test_all_lists_what_is_promised_and_what_exists(package):
    module = importlib.import_module(package)
    assert PROMISED[package] <= set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", [p for p in PROMISED if p not in ("physics", "neuro")])
def test_everything_public_is_documented(package):
    module = importlib.import_module(package)
    assert module.__doc__
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isroutine(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), f"{package}.{name} has no docstring"


@pytest.mark.parametrize("function", ["response", "noise_psd", "sensitivity", "asd", "curve"])
def test_tdi_functions_share_their_leading_arguments(function):
    tdi = importlib.import_module("physics.tdi")
    parameters = inspect.signature(getattr(tdi, function)).parameters
    assert list(parameters)[: len(LEADING)] == LEADING
    assert [p.kind.name for p in parameters.values()][:4] == ["POSITIONAL_OR_KEYWORD"] * 3 + ["KEYWORD_ONLY"]
    assert {n: p.default for n, p in parameters.items() if n in LEADING[2:]} == {
        "channel": "X",
        "family": None,
        "generation": 2,
        "shift": None,
        "method": "exact",
    }


@pytest.mark.parametrize(
    ("package", "function", "keyword_only"),
    [
        ("physics.faraday", "fit_angles", {"max_rm", "mask", "band", "zero_point_error", "rm_prior"}),
        ("physics.faraday", "fit_rotation", {"max_rm", "mask", "band", "amplitude", "evpa_error", "rm_prior"}),
        ("physics.tdi", "simulate_links", {"duration", "step", "key", "laser"}),
        ("physics.faraday", "gradient_test", {"path", "null", "simulations", "key", "leakage", "misalignment"}),
        ("physics.faraday", "sample", {"key", "priors", "mask", "max_rm", "chains", "warmup", "samples"}),
        ("physics.faraday", "evidence", {"priors", "mask", "method"}),
        ("physics.faraday", "rm_synthesis", {"sigma", "mask", "weights"}),
        ("physics.faraday", "rm_clean", {"threshold", "threshold_sigma", "gain", "max_iterations"}),
        ("neuro.data", "lorenz", {"key"}),
        ("neuro.data", "read_nwb", {"bin_width", "align", "window", "nlb"}),
        ("neuro.data", "nlb_submission", {"trials", "nlb"}),
        ("neuro.data", "write_nlb_submission", {"target", "overwrite"}),
        ("neuro.metrics", "bits_per_spike", {"rates", "counts"}),
        ("neuro.metrics", "rate_r2", {"truth", "rates"}),
        ("neuro.metrics", "evaluate_nlb", {"target", "submission"}),
        ("neuro.langevinflow", "fit", {"key"}),
        ("neuro.langevinflow", "predict_rates", {"samples", "key"}),
        ("neuro.langevinflow", "official_forward", {"forward_bins", "noise"}),
    ],
)
def test_keywords_that_must_be_spelled_out(package, function, keyword_only):
    parameters = inspect.signature(getattr(importlib.import_module(package), function)).parameters
    assert keyword_only <= {name for name, p in parameters.items() if p.kind.name == "KEYWORD_ONLY"}


@pytest.mark.parametrize("package", [p for p in PROMISED if p not in ("physics", "neuro")])
def test_the_precision_page_states_the_dtypes_of_every_function(package):
    page = (ROOT / "docs" / "precision.md").read_text()
    module = importlib.import_module(package)
    functions = [name for name in module.__all__ if inspect.isroutine(getattr(module, name))]
    tables = [line for line in page.splitlines() if line.startswith("|")]
    stated = {name for line in tables for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    missing = sorted(set(functions) - stated)
    assert not missing, f"docs/precision.md says nothing of {package}: {missing}"


def test_version_is_the_one_of_the_citation():
    physics = importlib.import_module("physics")
    assert f"version: {physics.__version__}\n" in (ROOT / "CITATION.cff").read_text()
