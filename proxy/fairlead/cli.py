"""The command `fairlead`: run, check, demo, simulate, hpa.

Owns the options and the exit status: 0 for success, 2 for a configuration or a command line that cannot be used, with
every reason on stderr.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import fairlead
from fairlead import config
from fairlead.control.logs import configure_logging
from fairlead.errors import ConfigError
from fairlead.settings import AUTO_WORKERS

_DEFAULT_FILE: Final = "fairlead.yaml"
_BALANCE: Final = "round-robin"
_ADMIN: Final = config.Admin().bind
_ONE_LINER: Final = ("tcp", "balance", "workers", "admin")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fairlead", description="A load-balancing proxy for TCP and HTTP.")
    parser.add_argument("--version", action="version", version=f"fairlead {fairlead.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="serve", description="Serve what a file or the options say."))
    check = commands.add_parser("check", help="check a configuration", description="Check a configuration file.")
    check.add_argument("-c", "--config", type=Path, default=Path(_DEFAULT_FILE), metavar="FILE")
    check.set_defaults(run=_check)
    demo = commands.add_parser("demo", help="see it at work", description="Backends, proxy and traffic, all embedded.")
    demo.add_argument("--seconds", type=float, default=0.0, help="end after this time (default: when interrupted)")
    demo.set_defaults(run=_demo)
    about = "Compare policies under a described workload, in virtual time."
    _add_simulate(commands.add_parser("simulate", help="compare policies", description=about))
    about = "Print an autoscaler for a service of a running Fairlead, and what it would do with the figures of now."
    _add_hpa(commands.add_parser("hpa", help="make an autoscaler", description=about))
    return parser


def _add_hpa(hpa: argparse.ArgumentParser) -> None:
    hpa.add_argument("service", nargs="?", metavar="SERVICE", help="as the configuration names it")
    hpa.add_argument("--admin", default=_ADMIN, metavar="ADDRESS", help=f"its admin server (default: {_ADMIN})")
    hpa.add_argument("--target", default="700m", metavar="SHARE", help="of what pods can do (default: 700m, 70 %%)")
    hpa.add_argument("--min", type=int, default=2, metavar="N", help="replicas (default: 2)")
    hpa.add_argument("--max", type=int, default=0, metavar="N", help="replicas (default: three times what there is)")
    hpa.add_argument("--deployment", default="", metavar="NAME", help="what is scaled (default: the Service's name)")
    trial = hpa.add_argument_group("instead of a service: metrics as drivers against a load, in virtual time")
    trial.add_argument("--simulate", nargs="?", const="", metavar="SCENARIO", help="a name or a file; alone: the names")
    trial.add_argument("--driver", action="append", default=[], metavar="DRIVER", help="several times (default: all)")
    trial.add_argument("--seed", type=int, default=1, help="other chances (default: 1)")
    trial.add_argument("--plot", type=Path, metavar="FILE", help="draw it: FILE.svg or FILE.png")
    hpa.set_defaults(run=_hpa)


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("-c", "--config", type=Path, metavar="FILE", help=f"the configuration (default: {_DEFAULT_FILE})")
    run.add_argument("--listen", action="append", metavar="ADDRESS", help="accept here, as 127.0.0.1:8080")
    run.add_argument("--to", action="append", metavar="ADDRESS", help="forward to this endpoint; give it several times")
    run.add_argument(
        "--tcp", action="store_true", default=None, help="forward TCP connections instead of HTTP requests"
    )
    run.add_argument("--balance", metavar="POLICY", help=f"how an endpoint is chosen (default: {_BALANCE})")
    run.add_argument("--workers", type=int, metavar="N", help="worker processes (default: one for each core)")
    run.add_argument("--admin", metavar="ADDRESS", help=f"admin server, or off (default: {_ADMIN})")
    run.set_defaults(run=_run)


def _add_simulate(simulate: argparse.ArgumentParser) -> None:
    simulate.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a name or a file; without it: the names")
    simulate.add_argument("--policy", action="append", metavar="POLICY", help="several times (default: all built in)")
    simulate.add_argument("--slow-start", type=float, metavar="SECONDS", help="instead of what the scenario says")
    simulate.add_argument("--eject", action="store_true", help="eject endpoints that fail, by the default rules")
    simulate.add_argument("--seed", type=int, default=1, help="other chances (default: 1)")
    simulate.add_argument("--plot", type=Path, metavar="FILE", help="draw it: FILE.svg or FILE.png")
    simulate.set_defaults(run=_simulate)


def _run(options: argparse.Namespace) -> int:
    # Here and not above: `fairlead check` needs neither the engine nor the loop.
    from fairlead import main as composition

    settings, path = _settings(options)
    configure_logging()
    return composition.run(settings, path)


def _settings(options: argparse.Namespace) -> tuple[config.Settings, Path | None]:
    if options.listen or options.to:
        return _from_options(options), None
    stray = [f"--{name}" for name in _ONE_LINER if getattr(options, name) is not None]
    if stray:
        raise ConfigError([f"{option}: goes with --listen and --to; a file says it itself" for option in stray])
    path = options.config or Path(_DEFAULT_FILE)
    if options.config is None and not path.exists():
        raise ConfigError([f"{path}: is not here; give -c FILE, or --listen ADDRESS --to ADDRESS"])
    return config.load(path), path.absolute()


def _from_options(options: argparse.Namespace) -> config.Settings:
    if options.config:
        raise ConfigError(["--config: cannot be given together with --listen and --to; write them into the file"])
    return config.one_liner(
        options.listen or [],
        options.to or [],
        tcp=bool(options.tcp),
        balance=options.balance or _BALANCE,
        workers=AUTO_WORKERS if options.workers is None else options.workers,
        admin=_ADMIN if options.admin is None else options.admin,
        base_dir=Path.cwd(),
    )


def _check(options: argparse.Namespace) -> int:
    settings = config.load(options.config)
    print(f"{options.config}: good: {len(settings.listeners)} listeners, {len(settings.services)} services")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from fairlead.demo import run

    return run(options.seconds)


def _hpa(options: argparse.Namespace) -> int:
    if options.simulate is not None:
        return _try(options)
    if options.service is None:
        raise ConfigError(["SERVICE: is missing; name a service of a running Fairlead, or give --simulate"])
    from fairlead.autoscale.advice import Wanted
    from fairlead.autoscale.command import advise

    wanted = Wanted(
        service=options.service,
        target=options.target,
        least=options.min,
        most=options.max,
        deployment=options.deployment,
    )
    return advise(options.admin, wanted)


def _try(options: argparse.Namespace) -> int:
    from fairlead.autoscale.trial import scenario, show

    if not options.simulate:
        print("\n".join(scenario.names()))
        return 0
    return show.compare(options.simulate, options.driver, seed=options.seed, plot_to=options.plot)


def _simulate(options: argparse.Namespace) -> int:
    from fairlead import simulate
    from fairlead.balance import POLICIES

    if options.scenario is None:
        print("\n".join(simulate.names()))
        return 0
    policies = options.policy or list(POLICIES)
    return simulate.compare(
        options.scenario,
        policies,
        seed=options.seed,
        slow_start_s=options.slow_start,
        eject=options.eject,
        plot_to=options.plot,
    )
