//! What `--help` shows at its end.

pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or context, 3 denied or revoked, 4 still waiting, 5 expired or ended,
6 cluster offline; `call` exits with 64 + the gRPC status.

First minute:
  tunnelctl connect acme/prod --method 'engine.admin.v1.Admin/*' --reason 'disk of node 3 is full' --keep
  tunnelctl call acme/prod list
  tunnelctl proxy acme/prod
  tunnelctl request scale acme/prod storage --expect 3 --replicas 5 --reason 'more load'";

pub(super) const LOGIN: &str = "\
Example:
  tunnelctl login --certificate op.pem --key op.key --vendor-key vendor.pub \\
    --api api.tunnel.example:443 --suffix tunnel.example";

pub(super) const REQUEST: &str = "\
Example:
  tunnelctl request access acme/prod --method 'engine.admin.v1.Admin/*' --for 1h --reason 'upgrade rehearsal'
  tunnelctl watch ID";

pub(super) const CONNECT: &str = "\
Examples:
  tunnelctl connect acme/prod --method 'engine.admin.v1.Admin/*' --for 30m \\
    --reason 'disk of node 3 is full' --reason-type incident --ticket INC-7
  tunnelctl connect acme/prod --keep          (goes on with the newest grant, renewing its certificate)
  tunnelctl connect acme/prod --resume ID";

pub(super) const PROXY: &str = "\
Examples:
  tunnelctl proxy acme/prod --method 'etcdserverpb.KV/*' --reason 'look at a key'
  tunnelctl proxy acme/prod --listen 127.0.0.1:2379
  etcdctl --endpoints=127.0.0.1:2379 get --prefix /
Clients speak HTTP/2 without TLS to it; the session behind it is end to end to the customer's gate.";

pub(super) const CALL: &str = "\
Examples:
  tunnelctl call acme/prod list
  tunnelctl call acme/prod describe engine.admin.v1.Admin
  tunnelctl call acme/prod engine.admin.v1.Admin/GetStatus --reason 'morning check'
  tunnelctl call acme/prod engine.admin.v1.Admin/Put -d '{\"key\":\"a\"}' -H 'x-trace: 1' -max-time 5
  tunnelctl call acme/prod engine.admin.v1.Admin/Load -d @rows.json
The flags of grpcurl (-d, -H, -protoset, -max-time, -emit-defaults) are understood with one dash, too.";

pub(super) const WATCH: &str = "\
Exit codes: 0 granted, done or succeeded, 1 an operation did not succeed, 3 denied or revoked, 4 still waiting,
5 expired, withdrawn or ended, 6 cluster offline.
Example:
  tunnelctl watch ID && tunnelctl connect acme/prod --resume ID";

pub(super) const SCALE: &str = "\
Examples:
  tunnelctl request scale acme/prod storage --expect 3 --replicas 5 --reason 'more load since monday'
  tunnelctl request scale acme/prod storage --expect-memory 2GiB --memory 4GiB --reason 'cache misses' --dry-run
The customer's client plans it, their policy or people decide, and it runs; you see each step. What you expect to find
is part of what is approved: if it is not so any more, nothing is done.";

pub(super) const UPGRADE: &str = "\
Examples:
  tunnelctl request upgrade acme/prod --release storage-2.4.1.release --expect 2.4.0 --reason 'fixes INC-7'
  tunnelctl request upgrade acme/prod --release storage.release --expect storage=2.4.0 \\
    --release proxy.release --expect proxy=1.9 --soak 2m --start on-call --reason 'release train 12'
Manifests are made and signed by `tunnel-certs release sign`.";

pub(super) const RESTART: &str = "\
Example:
  tunnelctl request restart acme/prod storage --node n3 --expect 5 --reason 'n3 leaks memory' --reason-type incident";

pub(super) const CONFIGURE: &str = "\
Example:
  tunnelctl request configure acme/prod storage --expect cache.mb=64 --set cache.mb=128 --reason 'cache misses'";

pub(super) const RUN: &str = "\
Examples:
  tunnelctl request run acme/prod defragment --reason 'half of the file is free'
  tunnelctl request run acme/prod compact --arg revision=1200 --target n1 --dry-run --reason 'look first'";

pub(super) const DEBUG: &str = "\
Example:
  tunnelctl request debug acme/prod status alarms --reason 'INC-7' && tunnelctl bundle get ID --wait 1h
The customer sees exactly which fields would leave, and may look into the bundle before it does.";

pub(super) const START: &str = "\
Exit codes: 0 it succeeded, 1 it did not, 3 denied or revoked, 4 still waiting or running, 5 expired.
Example:
  tunnelctl request restart acme/prod storage --expect 3 --start on-call --reason 'maintenance' && tunnelctl start ID";

pub(super) const CANCEL: &str = "\
Exit codes: 0 it was stopped (and rolled back if its plan says so), 1 it had ended otherwise, 4 still stopping.
Example:
  tunnelctl cancel ID";

pub(super) const PLAN: &str = "\
Example:
  tunnelctl plan ID --output json";

pub(super) const BUNDLE: &str = "\
Exit codes: 0 written and its digest verified, 1 failed, 4 the customer has not released it yet, 5 its time is over.
Example:
  tunnelctl bundle get ID -o inc-7.tar.zst --wait 1h
It is never unpacked here: it comes from another house. `tar --zstd -tf FILE` lists it.";

pub(super) const ENROLL_CREATE: &str = "\
Examples:
  tunnelctl enroll create acme/prod --out acme-prod.enroll
  tunnelctl enroll create acme/prod --kind replica --expires 24h --out acme-prod-2.enroll
Hand the file over by a way that only the customer can read: whoever redeems it first has it. Both sides compare words
afterwards, so that a thief is found out before anyone trusts its keys.";

pub(super) const ENROLL_CONFIRM: &str = "\
Examples:
  tunnelctl enroll confirm acme/prod THE 8 WORDS OF THE CUSTOMER --vendor-key vendor.key
With the vendor key on another machine:
  tunnelctl enroll confirm acme/prod THE 8 WORDS --write-payload entry.unsigned
  tunnel-certs sign entry.unsigned --vendor-key vendor.key --out entry.pb         (there)
  tunnelctl enroll confirm acme/prod THE 8 WORDS --entry entry.pb";

pub(super) const RENEW: &str = "\
Examples:
  tunnelctl inventory renew --all --within 60d --vendor-key vendor.key
  tunnelctl inventory renew acme/prod --write-payload unsigned/
  tunnelctl inventory renew acme/prod --entry entry.pb";

pub(super) const BAN: &str = "\
Example:
  tunnelctl ban acme/prod --replica r-7 --reason 'machine was sold'
  tunnelctl ban --label k3v7qdx2ab --replica r-9 --reason 'redeemed by somebody else'
A ban closes tunnels at once. It is the broker's: keys that were stolen need a new entry, too (`enroll confirm`). A ban of
one replica is of its id and its key: whoever has the cluster's service account can join as another.";

pub(super) const TRUST: &str = "\
Example:
  tunnelctl trust publish trust-bundle.pb";

pub(super) const DOCTOR: &str = "\
Example:
  tunnelctl doctor --bundle doctor.tar
Exit codes: 0 all is well (warnings included), 1 something is wrong, 2 no usable context.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  tunnelctl completions bash > /etc/bash_completion.d/tunnelctl
  tunnelctl completions zsh > \"${fpath[1]}/_tunnelctl\"
  tunnelctl completions fish > ~/.config/fish/completions/tunnelctl.fish";
