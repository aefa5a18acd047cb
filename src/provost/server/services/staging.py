"""From records to jobs: every secret that might be set is committed as pending before a job is handed out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel

from provost.core.job import Job, Login, Staged, Target, Wanted
from provost.core.keys import KeyAlgorithm
from provost.core.model import Action, SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.secrets import Password, Secret, SshKey
from provost.core.specs import RotateSpec, Spec
from provost.server.models import Account
from provost.server.services import secrets, sync
from provost.server.services.chunks import split
from provost.server.services.guard import count_tries, get_limit
from provost.server.services.leases import Lease, fence
from provost.server.services.targets import build_targets
from provost.vault.keys import generate_key
from provost.vault.passwords import generate_password

_KEY_TYPES = {
    KeyAlgorithm.ED25519: "ssh-ed25519",
    KeyAlgorithm.RSA_3072: "ssh-rsa",
    KeyAlgorithm.RSA_4096: "ssh-rsa",
    KeyAlgorithm.ECDSA_P256: "ecdsa-sha2-nistp256",
    KeyAlgorithm.ECDSA_P384: "ecdsa-sha2-nistp384",
    KeyAlgorithm.ECDSA_P521: "ecdsa-sha2-nistp521",
}

Usernames = Mapping[int, Sequence[tuple[str, SecretType | None]]]
"""By asset id, the accounts that are wanted there, each with the type of secret that it is about."""


@dataclass(slots=True)
class _Place:
    """One account on one asset, before its job is made."""

    target: Target
    username: str
    secret_type: SecretType | None
    current: Secret | None
    others: tuple[Secret, ...]
    pending: list[Staged]
    origin: Strategy | None
    """Where the newest pending secret came from."""
    login: Login | None
    tries: int
    out_of_sync: bool


def stage_jobs(
    *,
    lease: Lease,
    spec: Spec,
    specified: Secret | None,
    parameters: Mapping[str, BaseModel],
    usernames: Usernames,
) -> list[Job]:
    """Return a job for each asset id in `usernames`, with a staged secret for every account that is to get one.

    A secret that an earlier run, or an earlier holder of this one, left pending is used again if it is one that
    this run could have made: then it does not matter whether the target has it already.

    Raises:
        LeaseLost: the run is another's now; nothing was staged.
        VaultError: the master key is missing or wrong, or a secret does not decrypt.
    """
    places = _read_places(usernames)
    if isinstance(spec, PushSpec | RotateSpec):
        _stage(lease, spec, specified, places)
    return _make_jobs(places, spec, parameters)


def make_trial_jobs(*, spec: Spec, parameters: Mapping[str, BaseModel], usernames: Usernames) -> list[Job]:
    """Return the jobs of a dry run: nothing is staged.

    Raises:
        VaultError: as `stage_jobs`.
    """
    return _make_jobs(_read_places(usernames), spec, parameters, dry_run=True)


def _stage(
    lease: Lease, spec: PushSpec | RotateSpec, specified: Secret | None, places: Sequence[_Place]
) -> None:
    """Stage a secret for what a push does not find in the list, or a rotation does."""
    unstaged = [
        place
        for place in places
        if (place.current is None) == isinstance(spec, PushSpec)
        and place.target.logins
        and not _is_staged(place, spec, specified)
    ]
    # Keys take their time to make: nobody is kept waiting for the database meanwhile.
    fresh = [specified or _generate(spec) for _ in unstaged]
    with fence(lease=lease):
        accounts = _ensure_accounts(unstaged)
        ids = secrets.stage(
            run_id=lease.run_id,
            epoch=lease.epoch,
            secrets=[
                (accounts[place.target.asset_id, place.username], secret)
                for place, secret in zip(unstaged, fresh, strict=True)
            ],
            origin=spec.strategy,
        )
    for place, version_id, secret in zip(unstaged, ids, fresh, strict=True):
        place.pending.insert(0, Staged(version_id, secret, fresh=True))


def _read_places(usernames: Usernames) -> list[_Place]:
    targets = build_targets(asset_ids=usernames)
    accounts = _read_accounts(usernames)
    ids = [account.id for account in accounts.values()]
    current = secrets.read_current(
        account_ids=[account.id for account in accounts.values() if account.listed_at is not None]
    )
    types = {secret_type for wanted in usernames.values() for _, secret_type in wanted if secret_type}
    pending = secrets.read_pending(account_ids=ids, secret_types=types)
    tries = count_tries(account_ids=ids)
    refused = sync.find_refused(account_ids=ids)
    places = []
    for asset_id, wanted in usernames.items():
        for name, secret_type in wanted:
            account = accounts.get((asset_id, name))
            held = current.get(account.id, {}) if account else {}
            left = pending.get((account.id, secret_type), []) if account and secret_type else []
            place = _Place(
                target=targets[asset_id],
                username=name,
                secret_type=secret_type,
                current=held.get(secret_type) if secret_type else None,
                others=tuple(secret for kind, secret in held.items() if kind is not secret_type),
                pending=[Staged(one.id, one.secret, fresh=False) for one in left],
                origin=left[0].origin if left else None,
                login=_find_login(targets[asset_id], name, secret_type),
                tries=tries[account.id] if account else get_limit(),
                out_of_sync=account is not None and (account.id, secret_type) in refused,
            )
            places.append(place)
    return places


def _read_accounts(usernames: Usernames) -> dict[tuple[int, str], Account]:
    names = {name for wanted in usernames.values() for name, _ in wanted}
    return {
        (account.asset_id, account.username): account
        for chunk in split(usernames)
        for account in Account.objects.filter(asset_id__in=chunk, username__in=names)
    }


def _find_login(target: Target, username: str, secret_type: SecretType | None) -> Login | None:
    """Return the login that an account's secret is part of: its own, or one that asks for its password."""
    logins = [login for login in target.logins if not login.staged]
    own = [login for login in logins if login.username == username]
    asking = [login for login in logins if login.asked == username and secret_type is SecretType.PASSWORD]
    return next(iter(own + asking), None)


def _is_staged(place: _Place, spec: PushSpec | RotateSpec, specified: Secret | None) -> bool:
    """Tell whether the newest pending secret is one that this run could have staged."""
    if not place.pending or place.origin != spec.strategy:
        return False
    secret = place.pending[0].secret
    if isinstance(specified, SshKey):
        # The same private key may be written in several ways.
        return isinstance(secret, SshKey) and secret.public == specified.public
    if specified is not None:
        return secret == specified
    if isinstance(secret, Password):
        return spec.rules.accept(secret.text)
    return secret.private is not None and secret.public.split()[0] == _KEY_TYPES[spec.key_algorithm]


def _generate(spec: PushSpec | RotateSpec) -> Secret:
    if spec.secret_type is SecretType.PASSWORD:
        return generate_password(spec.rules)
    return generate_key(spec.key_algorithm)


def _ensure_accounts(places: Iterable[_Place]) -> dict[tuple[int, str], UUID]:
    """Make a row for every account that has none yet; it is not in the list before its secret is promoted."""
    wanted = {(place.target.asset_id, place.username) for place in places}
    found: dict[tuple[int, str], UUID] = {}
    for chunk in split(sorted(wanted)):
        Account.objects.bulk_create(
            (Account(asset_id=asset_id, username=username) for asset_id, username in chunk),
            ignore_conflicts=True,
        )
        rows = Account.objects.filter(
            asset_id__in={asset_id for asset_id, _ in chunk}, username__in={name for _, name in chunk}
        )
        found |= {(row.asset_id, row.username): row.id for row in rows}
    return found


def _make_jobs(
    places: Iterable[_Place], spec: Spec, parameters: Mapping[str, BaseModel], *, dry_run: bool = False
) -> list[Job]:
    wanted: dict[int, list[Wanted]] = defaultdict(list)
    targets: dict[int, Target] = {}
    for place in places:
        targets[place.target.asset_id] = place.target
        wanted[place.target.asset_id].append(
            Wanted(
                username=place.username,
                secret_type=place.secret_type,
                current=place.current,
                pending=tuple(place.pending),
                others=place.others,
                login=place.login,
                tries=place.tries,
                out_of_sync=place.out_of_sync,
            )
        )
    return [
        Job(
            target=target,
            wanted=tuple(wanted[asset_id]),
            parameters=parameters[target.kind],
            action=Action(spec.action),
            verify=not isinstance(spec, PushSpec) or spec.verify,
            dry_run=dry_run,
        )
        for asset_id, target in targets.items()
    ]
