"""Accounts on real hosts: existence, parameters, refusals, what is left behind."""

import pytest

from provost.core.keys import KeyAlgorithm
from provost.core.model import Decision, Status, Verdict
from provost.core.secrets import Password
from provost.vault.keys import generate_key

pytestmark = pytest.mark.lab
SECRET = Password("S3cret: with spaces")
OTHER = Password("another 0ne")


async def test_a_name_service_that_is_down(host, aim_at, push):
    """With sssd in nsswitch.conf and no sssd, an unknown user is not "absent"; a known one is still known."""
    host.run(
        "sed -i 's/^passwd:.*/passwd:\\tfiles\\tsss/' /etc/nsswitch.conf; "
        "mkdir -p /etc/sssd; touch /etc/sssd/sssd.conf; "
        "useradd -m known"
    )
    outcomes = await push(aim_at(host), "alice", "known", secret=SECRET)
    assert (outcomes["alice"].status, outcomes["alice"].reason) == (Status.FAILED, "lookup_failed")
    assert (outcomes["known"].decision, outcomes["known"].status) == (Decision.ADOPT, Status.SUCCEEDED)
    assert "alice:" not in host.run("cat /etc/passwd").stdout


async def test_a_look_up_that_fails(host, aim_at, push):
    """A getent that fails is an error for every account, and nothing is changed."""
    host.run("printf '#!/bin/sh\\nexit 3\\n' > /usr/bin/getent")
    outcomes = await push(aim_at(host), "alice", "bob", secret=SECRET)
    assert {(one.status, one.reason) for one in outcomes.values()} == {(Status.FAILED, "lookup_failed")}
    assert "alice:" not in host.run("cat /etc/passwd").stdout


async def test_a_user_of_a_directory_exists(host, aim_at, push):
    """A user that NSS knows and /etc/passwd does not counts as existing (libnss-extrausers stands for LDAP)."""
    host.run(
        "useradd -m alice; grep -v ^alice: /etc/passwd > /tmp/passwd; grep ^alice: /etc/passwd > /tmp/alice"
    )
    host.run(
        "mv /usr/bin/getent /usr/bin/getent.real; cat > /usr/bin/getent; chmod 755 /usr/bin/getent",
        stdin='#!/bin/sh\n[ "$1 $2" = "passwd ann" ] && {\n'
        'echo "ann@corp:x:9001:9001::/home/ann:/bin/sh"; exit 0; }\n'
        'exec /usr/bin/getent.real "$@"\n',
    )
    outcome = (await push(aim_at(host), "ann", secret=SECRET))["ann"]
    assert outcome.decision is Decision.ADOPT, outcome


async def test_parameters(host, aim_at, push, log_in):
    """Every parameter of a new account is found on the host afterwards."""
    host.run("groupadd ops; groupadd extra; groupadd third")
    outcome = (
        await push(
            aim_at(host), "alice", secret=SECRET, shell="/bin/bash", home="/srv/alice", uid=4242, group="ops",
            groups="extra,third", comment="Alice A. (ops)", expires="2099-12-31",
            sudo="/usr/bin/id, /bin/ls -l /root",
            sudo_password=False,
        )
    )["alice"]  # fmt: skip
    assert outcome.status is Status.SUCCEEDED, outcome
    assert host.run("getent passwd alice").stdout == "alice:x:4242:1000:Alice A. (ops):/srv/alice:/bin/bash\n"
    assert host.run("id -Gn alice").stdout.split() == ["ops", "extra", "third"]
    assert host.run("getent shadow alice | cut -d: -f8").stdout.strip() == "47481"
    rules = host.run("sudo -l -U alice").stdout
    assert "NOPASSWD: /usr/bin/id, /bin/ls -l /root" in rules
    assert host.run("stat -c '%U %a' /etc/sudoers.d/provost-alice").stdout.split() == ["root", "440"]
    assert await log_in(host, "alice", SECRET)


async def test_sudo_asks_for_the_password_by_default(host, aim_at, push):
    """ALL means all, with the account's own password."""
    assert (await push(aim_at(host), "a.b", secret=SECRET, sudo="ALL"))["a.b"].status is Status.SUCCEEDED
    assert host.run("cat /etc/sudoers.d/provost-a%2eb").stdout == "a.b ALL=(ALL:ALL) ALL\n"
    used = host.run("runuser -u a.b -- sudo -S id -u 2>&1 || true", stdin=SECRET.text + "\n")
    assert used.stdout.rstrip().endswith("0")


async def test_adopted_accounts_keep_what_they_have(host, aim_at, push, log_in):
    """Adopting sets the secret; groups, shell and sudo stay, unless update_existing_sudo says otherwise."""
    host.run("useradd -m -s /bin/dash alice")
    outcome = (await push(aim_at(host), "alice", secret=SECRET, shell="/bin/bash", sudo="ALL"))["alice"]
    assert (outcome.decision, outcome.status) == (Decision.ADOPT, Status.SUCCEEDED)
    assert host.run("getent passwd alice | cut -d: -f7; ls /etc/sudoers.d").stdout.split() == ["/bin/dash"]
    await push(aim_at(host), "alice", secret=OTHER, sudo="ALL", update_existing_sudo=True)
    assert host.run("ls /etc/sudoers.d").stdout.split() == ["provost-alice"]
    assert await log_in(host, "alice", OTHER)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [({"uid": 1}, "create_refused"), ({"group": "nosuch"}, "create_refused"),
     ({"groups": "nosuch"}, "create_refused"),
     ({"sudo": "/ !"}, "sudo_refused")],
)  # fmt: skip
async def test_a_refused_creation_leaves_nothing(host, aim_at, push, log_in, parameters, says):
    """What useradd or visudo refuses is told as certainly not done, leaves nothing, and works once mended."""
    before = host.run("cat /etc/passwd /etc/group; ls -A /home /etc/sudoers.d /var/lib").stdout
    outcome = (await push(aim_at(host), "alice", secret=SECRET, **parameters))["alice"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, says), outcome
    host.run("while [ -L /run/provost.pid ]; do sleep 0.05; done")  # the shell tidies up as it ends
    assert host.run("cat /etc/passwd /etc/group; ls -A /home /etc/sudoers.d /var/lib").stdout == before
    assert (await push(aim_at(host), "alice", secret=SECRET))["alice"].status is Status.SUCCEEDED
    assert await log_in(host, "alice", SECRET)


async def test_a_password_that_the_host_refuses(host, aim_at, push):
    """A host's password policy is final: nothing is set, and a created account is taken away again."""
    host.run(
        "useradd -m known; echo known:before | chpasswd; "
        "printf '#!/bin/sh\\ncat >/dev/null\\necho BAD: too simple >&2\\nexit 1\\n' > /usr/sbin/chpasswd"
    )
    hash_before = host.run("getent shadow known").stdout
    outcomes = await push(aim_at(host), "alice", "known", secret=SECRET)
    assert {(one.status, one.reason) for one in outcomes.values()} == {(Status.FAILED, "password_refused")}
    assert "too simple" in outcomes["alice"].message
    assert host.run("getent passwd alice", check=False).returncode == 2
    assert host.run("getent shadow known").stdout == hash_before


async def test_a_creation_that_was_cut_off(host, aim_at, push, log_in):
    """The note of an unfinished creation makes the next push finish it, home and all; then the note is gone."""
    host.run("useradd -M alice; mkdir -p /var/lib/provost/creating; echo 1 > /var/lib/provost/creating/alice")
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
    assert await log_in(host, "alice", SECRET)
    assert host.run("stat -c %U /home/alice; ls -d /var/lib/provost", check=False).stdout.split() == ["alice"]
    restored = (await push(aim_at(host), "bob", secret=SECRET, current=OTHER))["bob"]
    assert (restored.decision, restored.status) == (Decision.RESTORE, Status.SUCCEEDED)
    assert await log_in(host, "bob", OTHER)


@pytest.mark.parametrize("kind", ["linux", "busybox"])
async def test_a_note_is_of_one_account(request, kind, aim_at, push, log_in):
    """A creation that was cut off, then removed by hand, says nothing of whom somebody makes by that name."""
    host = request.getfixturevalue("host" if kind == "linux" else "busybox_host")
    host.run(
        "mv $(command -v chpasswd) /root/real; cat > /usr/sbin/chpasswd; chmod 755 /usr/sbin/chpasswd",
        stdin="#!/bin/sh\nkill -9 $(readlink /run/provost.pid | cut -d . -f 1)\n",
    )
    cut = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert cut.status is Status.UNCERTAIN, cut
    note = host.run("cat /var/lib/provost/creating/alice; id -u alice").stdout.split()
    assert note[1:] == [note[-1]] * 2
    host.run("mv /root/real /usr/sbin/chpasswd")
    make = "useradd -m -u" if kind == "linux" else "adduser -D -u"
    host.run(
        f"if command -v userdel; then userdel -r alice; else deluser --remove-home alice; fi; {make} 4321 alice"
    )
    adopted = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert (adopted.decision, adopted.status) == (Decision.ADOPT, Status.SUCCEEDED), adopted
    assert await log_in(host, "alice", SECRET)


async def test_a_creation_that_is_cut_off_and_then_refused(host, aim_at, push, log_in):
    """Going on with an unfinished creation and failing leaves it unfinished: it is not taken for an account."""
    host.run("useradd -m alice; mkdir -p /var/lib/provost/creating; echo 1 > /var/lib/provost/creating/alice")
    host.run(
        "mv /usr/sbin/chpasswd /root; "
        "printf '#!/bin/sh\\nexit 1\\n' > /usr/sbin/chpasswd; chmod 755 /usr/sbin/chpasswd"
    )
    refused = (await push(aim_at(host), "alice", secret=SECRET, current=OTHER))["alice"]
    assert (refused.decision, refused.status) == (Decision.RESTORE, Status.FAILED), refused
    host.run("mv /root/chpasswd /usr/sbin/chpasswd")
    mended = (await push(aim_at(host), "alice", secret=SECRET, current=OTHER))["alice"]
    assert (mended.decision, mended.status) == (Decision.RESTORE, Status.SUCCEEDED), mended
    assert await log_in(host, "alice", OTHER)


async def test_a_secret_left_pending_is_settled_by_a_login(host, aim_at, push, log_in):
    """What an earlier run set and could not report is found in force, and nothing is set again."""
    host.run(f"useradd -m alice; echo 'alice:{OTHER.text}' | chpasswd")
    outcome = (await push(aim_at(host), "alice", secret=SECRET, left_pending=[OTHER]))["alice"]
    assert (outcome.decision, outcome.status, outcome.reason) == (Decision.LEAVE, Status.UNCHANGED, "settled")
    assert await log_in(host, "alice", OTHER)


@pytest.mark.parametrize(
    "rule",
    ["DenyUsers alice", "AllowGroups wheel root", "PasswordAuthentication no\nKbdInteractiveAuthentication no"],
)
async def test_a_policy_that_forbids_the_login(host, aim_at, push, rule):
    """A login that sshd's configuration forbids says nothing about the secret: unverified, not wrong."""
    if rule.startswith("Password"):
        host.run("cat >> /etc/ssh/sshd_config", stdin=f"\nMatch User alice\n{rule}\n")
    else:
        host.run("sed -i '1r /dev/stdin' /etc/ssh/sshd_config", stdin=rule + "\n")
    host.stop_sshd()
    host.start_sshd()
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.UNVERIFIED, outcome
    assert outcome.reason in {"policy_forbids_login", "login_method_unavailable"}
    assert outcome.settled is not None


async def test_a_policy_that_cannot_be_told(host, aim_at, connect):
    """A login that is refused while the host cannot say why is in doubt, and so is one from an address."""
    host.run("useradd -m alice; chpasswd", stdin=f"alice:{SECRET.text}\n")
    session = await connect(aim_at(host))
    assert (await session.verify("alice", OTHER)).verdict is Verdict.REJECTED
    host.run("sed -i '1r /dev/stdin' /etc/ssh/sshd_config", stdin="AllowUsers root alice@192.0.2.1\n")
    host.stop_sshd()
    host.start_sshd()
    session = await connect(aim_at(host))
    told = await session.verify("alice", SECRET)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_forbids_login", True), told
    host.run("kill -9 $(readlink /run/provost.pid | cut -d . -f 1)")
    told = await session.verify("alice", SECRET)
    assert (told.verdict, told.reason, told.refused) == (Verdict.UNKNOWN, "policy_unreadable", True), told


async def test_a_disk_that_is_full(host, aim_at, push, log_in):
    """Nothing is created on a full disk; with room again, the push gets it right."""
    host.run("for place in /etc /var/lib /home; do cat /dev/zero > $place/full 2>/dev/null || true; done")
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert outcome.status is Status.FAILED, outcome
    assert "alice" not in host.run("cat /etc/passwd").stdout
    host.run("rm /etc/full /var/lib/full /home/full")
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
    assert await log_in(host, "alice", SECRET)


async def test_many_accounts_use_one_connection(host, aim_at, push):
    """Ten accounts are one privileged login and one remote shell."""
    names = [f"user{number}" for number in range(10)]
    outcomes = await push(aim_at(host), *names, secret=SECRET)
    assert {one.status for one in outcomes.values()} == {Status.SUCCEEDED}
    assert host.log.read_text().count("Accepted password for root") == 1


async def test_a_created_account_gets_every_secret_of_the_list(host, aim_at, push, log_in):
    """An account that comes back for one type of secret gets those of other types in the list too."""
    key = generate_key(KeyAlgorithm.ED25519)
    outcome = (await push(aim_at(host), "alice", secret=SECRET, current=OTHER, others=(key,)))["alice"]
    assert (outcome.decision, outcome.status) == (Decision.RESTORE, Status.SUCCEEDED), outcome
    assert await log_in(host, "alice", OTHER)
    assert await log_in(host, "alice", key)
    outcome = (await push(aim_at(host), "bob", secret=key, others=(OTHER,)))["bob"]
    assert (outcome.decision, outcome.status) == (Decision.CREATE, Status.SUCCEEDED), outcome
    assert await log_in(host, "bob", OTHER)
    assert await log_in(host, "bob", key)


async def test_somebody_elses_account_is_never_taken_away(host, aim_at, push):
    """When useradd gives up and another tool has made the account meanwhile, it and its home stay."""
    host.run(
        "mv /usr/sbin/useradd /usr/sbin/useradd.real; cat > /usr/sbin/useradd; chmod 755 /usr/sbin/useradd",
        stdin="#!/bin/sh\n/usr/sbin/useradd.real -m alice; echo hers > /home/alice/data\n"
        "echo 'useradd: cannot lock /etc/passwd; try again later.'; exit 1\n",
    )
    outcome = (await push(aim_at(host), "alice", secret=SECRET))["alice"]
    assert (outcome.status, outcome.reason) == (Status.FAILED, "create_refused"), outcome
    assert host.run("cat /home/alice/data; ls /var/lib/provost 2>/dev/null || true").stdout == "hers\n"
    host.run("mv /usr/sbin/useradd.real /usr/sbin/useradd")
    assert (await push(aim_at(host), "alice", secret=SECRET))["alice"].decision is Decision.ADOPT
