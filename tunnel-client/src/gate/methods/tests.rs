use super::*;
use crate::gate::testing;

const PATH: &str = "/engine.admin.v1.Admin/Get";

fn grant() -> GrantRef {
    testing::grant(&[("engine.admin.v1.Admin/Get", Level::Auto)])
}

#[test]
fn only_what_the_profile_calls_read_only_does_not_mutate() {
    let policy = testing::policy(testing::ALLOW_ALL);
    let mutates =
        |read_only: bool| Methods::new(&grant(), &policy, |_| !read_only).get(PATH).unwrap().mutates();
    assert!(!mutates(true));
    assert!(mutates(false));
}

#[test]
fn a_stricter_policy_cuts_only_while_a_call_is_open() {
    let (grant, allow) = (grant(), testing::policy(testing::ALLOW_ALL));
    let mut methods = Methods::new(&grant, &allow, |_| true);
    let deny = testing::policy(testing::MANUAL_ALL);
    assert!(!methods.refresh(&grant, &deny));
    assert!(methods.get(PATH).unwrap().authorize().is_err());
    assert!(!methods.refresh(&grant, &allow));
    let granted = methods.get(PATH).unwrap();
    let open = granted.begin(granted.authorize().unwrap(), UnixMillis(0)).unwrap();
    assert!(!methods.refresh(&grant, &allow));
    assert!(methods.refresh(&grant, &deny));
    drop(open);
    assert!(!methods.refresh(&grant, &deny));
}

#[test]
fn sessions_of_one_grant_share_its_limits() {
    let (grant, policy) = (grant(), testing::policy(testing::ONE_STREAM));
    let sessions = [(); 2].map(|()| Methods::new(&grant, &policy, |_| true));
    let begin = |methods: &Methods| {
        let granted = methods.get(PATH).unwrap();
        granted.begin(granted.authorize().unwrap(), UnixMillis(0))
    };
    let open = begin(&sessions[0]).unwrap();
    let refused = begin(&sessions[1]).map(drop).unwrap_err();
    assert_eq!(refused, Refusal::Limit { rule: "access rule 1".into(), limit: Limit::Streams(1) });
    drop(open);
    assert!(begin(&sessions[1]).is_ok());
}

#[test]
fn bytes_beyond_the_limit_name_the_rule() {
    let policy = testing::policy(testing::TEN_BYTES);
    let methods = Methods::new(&grant(), &policy, |_| true);
    let granted = methods.get(PATH).unwrap();
    let call = granted.begin(granted.authorize().unwrap(), UnixMillis(0)).unwrap();
    assert_eq!(call.add_bytes(10), Ok(()));
    let refused = call.add_bytes(1).unwrap_err();
    assert_eq!(refused, Refusal::Limit { rule: "access rule 1".into(), limit: Limit::Bytes(10) });
}
