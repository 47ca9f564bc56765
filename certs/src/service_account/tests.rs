//! Tokens that are confused, forged, for others, or over.

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{DAY, HOUR, MINUTE, NOW, label, vendor};

/// An issuer with one key of each kind.
struct Issuer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.unwrap().as_ref());
        Self { rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), p256: p256.unwrap() }
    }

    fn rsa_jwk(&self) -> Value {
        let public: PublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
        json!({ "kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig",
                "n": encode(&public.n), "e": encode(&public.e) })
    }

    fn p256_jwk(&self) -> Value {
        let point = self.p256.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "kid": "e", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
    }

    fn jwks(&self) -> Vec<u8> {
        set(&[self.rsa_jwk(), self.p256_jwk()])
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let bytes = message.as_bytes();
        let signature = match header["alg"].as_str() {
            Some("ES256") => self.p256.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec(),
            _ => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", encode(&signature))
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn set(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

fn rs256() -> Value {
    json!({ "alg": "RS256", "kid": "r" })
}

fn es256() -> Value {
    json!({ "alg": "ES256", "kid": "e", "typ": "JWT" })
}

fn expected() -> Expected {
    Expected {
        audience: audience(&vendor(), &label()),
        issuer: "https://kubernetes.default.svc".into(),
        subject: "system:serviceaccount:postern:tunnel-client".into(),
    }
}

/// As Kubernetes projects it.
fn claims() -> Value {
    json!({
        "aud": [expected().audience], "iss": expected().issuer, "sub": expected().subject,
        "iat": NOW.seconds(), "nbf": NOW.seconds(), "exp": NOW.plus(HOUR).seconds(),
        "kubernetes.io": { "namespace": "postern", "pod": { "name": "tunnel-client-0" } },
    })
}

fn with(mut value: Value, name: &str, changed: Value) -> Value {
    value[name] = changed;
    value
}

/// The verdict on a token with one claim changed.
fn claiming(issuer: &Issuer, name: &str, changed: Value) -> Result<Claims, TokenError> {
    let token = issuer.sign(&es256(), &with(claims(), name, changed));
    verify(&issuer.jwks(), &token, &expected(), NOW)
}

#[test]
fn takes_what_kubernetes_signs_with_either_algorithm() {
    let issuer = Issuer::new();
    for header in [rs256(), es256()] {
        let told = verify(&issuer.jwks(), &issuer.sign(&header, &claims()), &expected(), NOW).unwrap();
        assert_eq!(told.subject, expected().subject);
        assert_eq!(told.expires, NOW.plus(HOUR));
    }
    assert!(claiming(&issuer, "aud", json!(expected().audience)).is_ok(), "a single audience is no list");
}

#[test]
fn no_algorithm_but_the_keys_own() {
    let issuer = Issuer::new();
    let jwks = issuer.jwks();
    let verdict = |token: &str| verify(&jwks, token, &expected(), NOW);
    for alg in ["none", "None", "HS256", "RS384", "PS256", "ES384", "EdDSA", "rs256", ""] {
        let token = issuer.sign(&with(rs256(), "alg", json!(alg)), &claims());
        assert_eq!(verdict(&token), Err(TokenError::Algorithm), "{alg}");
    }
    let unsigned = format!("{}.", message(&with(rs256(), "alg", json!("none")), &claims()));
    assert_eq!(verdict(&unsigned), Err(TokenError::Algorithm));
    // One key's id with the other's algorithm.
    assert_eq!(
        verdict(&issuer.sign(&with(es256(), "kid", json!("r")), &claims())),
        Err(TokenError::Algorithm)
    );
    assert_eq!(
        verdict(&issuer.sign(&with(rs256(), "kid", json!("e")), &claims())),
        Err(TokenError::Algorithm)
    );
}

/// The public key, which everybody has, as the secret of an HMAC.
#[test]
fn a_public_key_is_no_shared_secret() {
    let issuer = Issuer::new();
    let public: Vec<u8> = issuer.rsa.public_key().as_der().unwrap().as_ref().to_vec();
    for alg in ["HS256", "RS256"] {
        let message = message(&with(rs256(), "alg", json!(alg)), &claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message.as_bytes());
        let token = format!("{message}.{}", encode(tag.as_ref()));
        assert!(verify(&issuer.jwks(), &token, &expected(), NOW).is_err(), "{alg}");
    }
    let symmetric = set(&[json!({ "kty": "oct", "kid": "r", "k": encode(&public) })]);
    assert_eq!(check_key_set(&symmetric), Err(TokenError::KeySet));
}

#[test]
fn believes_nothing_that_was_altered() {
    let (issuer, thief) = (Issuer::new(), Issuer::new());
    let jwks = issuer.jwks();
    for header in [rs256(), es256()] {
        let forged = thief.sign(&header, &claims());
        assert_eq!(verify(&jwks, &forged, &expected(), NOW), Err(TokenError::Signature));
        let honest = issuer.sign(&header, &claims());
        let (_, signature) = honest.rsplit_once('.').unwrap();
        let swapped = format!("{}.{signature}", message(&header, &with(claims(), "sub", json!("other"))));
        assert_eq!(
            verify(&jwks, &swapped, &expected(), NOW),
            Err(TokenError::Signature),
            "before the claims"
        );
        let empty = format!("{}.", message(&header, &claims()));
        assert_eq!(verify(&jwks, &empty, &expected(), NOW), Err(TokenError::Signature));
    }
}

#[test]
fn a_zero_signature_proves_nothing() {
    let token = format!("{}.{}", message(&es256(), &claims()), encode(&[0; 64]));
    assert_eq!(verify(&Issuer::new().jwks(), &token, &expected(), NOW), Err(TokenError::Signature));
}

#[test]
fn an_unknown_or_missing_key_is_refused() {
    let issuer = Issuer::new();
    let verdict = |header: &Value| verify(&issuer.jwks(), &issuer.sign(header, &claims()), &expected(), NOW);
    assert_eq!(verdict(&with(es256(), "kid", json!("x"))), Err(TokenError::UnknownKey));
    assert_eq!(verdict(&json!({ "alg": "ES256" })), Err(TokenError::Malformed));
    assert_eq!(verdict(&with(es256(), "kid", json!(7))), Err(TokenError::Malformed));
}

#[test]
fn is_for_us_from_the_pinned_issuer_and_account() {
    let issuer = Issuer::new();
    let other = "postern/initech/aaaaaaaaaa";
    for audience in [json!(other), json!([]), json!([other]), json!([expected().audience, other])] {
        assert_eq!(claiming(&issuer, "aud", audience), Err(TokenError::Claim("audience")));
    }
    let longer = format!("{}/", expected().issuer);
    assert_eq!(claiming(&issuer, "iss", json!(longer)), Err(TokenError::Claim("issuer")));
    let default = "system:serviceaccount:postern:default";
    assert_eq!(claiming(&issuer, "sub", json!(default)), Err(TokenError::Claim("subject")));
    for name in ["aud", "iss", "sub", "exp"] {
        assert_eq!(claiming(&issuer, name, Value::Null), Err(TokenError::Malformed), "{name}");
    }
}

#[test]
fn is_valid_now() {
    let issuer = Issuer::new();
    let seconds = |at: UnixMillis| json!(at.seconds());
    assert_eq!(claiming(&issuer, "exp", seconds(NOW)), Err(TokenError::Expired));
    assert_eq!(claiming(&issuer, "exp", seconds(NOW.minus(DAY))), Err(TokenError::Expired));
    assert_eq!(claiming(&issuer, "exp", json!(i64::MIN)), Err(TokenError::Expired));
    assert_eq!(claiming(&issuer, "exp", json!("tomorrow")), Err(TokenError::Malformed));
    assert_eq!(claiming(&issuer, "nbf", seconds(NOW.plus(2 * MINUTE))), Err(TokenError::NotYetValid));
    assert_eq!(claiming(&issuer, "iat", seconds(NOW.plus(2 * MINUTE))), Err(TokenError::NotYetValid));
    assert!(claiming(&issuer, "nbf", seconds(NOW.plus(MINUTE))).is_ok(), "clocks differ a little");
    assert!(claiming(&issuer, "nbf", Value::Null).is_ok());
    assert!(claiming(&issuer, "exp", json!(i64::MAX)).is_ok());
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    let issuer = Issuer::new();
    let verdict = |header: &Value| verify(&issuer.jwks(), &issuer.sign(header, &claims()), &expected(), NOW);
    assert_eq!(verdict(&with(es256(), "crit", json!(["b64"]))), Err(TokenError::Malformed));
    assert_eq!(verdict(&with(es256(), "typ", json!("JWE"))), Err(TokenError::Malformed));
    // A key that the token brings along is nobody's.
    let thief = Issuer::new();
    let embedded = with(with(es256(), "jwk", thief.p256_jwk()), "jku", json!("https://evil.example"));
    assert_eq!(
        verify(&issuer.jwks(), &thief.sign(&embedded, &claims()), &expected(), NOW),
        Err(TokenError::Signature)
    );
}

#[test]
fn a_member_that_comes_twice_is_refused() {
    let issuer = Issuer::new();
    let text = claims().to_string();
    let twice = text.replacen('{', r#"{"sub":"system:serviceaccount:postern:other","#, 1);
    let message = format!("{}.{}", encode(es256().to_string().as_bytes()), encode(twice.as_bytes()));
    let signature = issuer.p256.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let token = format!("{message}.{}", encode(signature.as_ref()));
    assert_eq!(verify(&issuer.jwks(), &token, &expected(), NOW), Err(TokenError::Malformed));
}

#[test]
fn other_forms_are_refused() {
    let issuer = Issuer::new();
    let honest = issuer.sign(&es256(), &claims());
    for bad in [
        String::new(),
        "..".into(),
        "a.b".into(),
        format!("{honest}="),
        format!("{honest}\n"),
        format!(" {honest}"),
        format!("{honest}.{honest}"),
        format!("{honest}."),
    ] {
        assert!(verify(&issuer.jwks(), &bad, &expected(), NOW).is_err(), "{bad}");
    }
    let large = "a".repeat(16 * 1024 + 1);
    assert_eq!(verify(&issuer.jwks(), &large, &expected(), NOW), Err(TokenError::TooLarge("token")));
}

#[test]
fn key_sets_are_bounded_and_unambiguous() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let mut oversized = issuer.jwks();
    oversized.resize(MAX_KEY_SET + 1, b' ');
    assert_eq!(check_key_set(&oversized), Err(TokenError::TooLarge("key set")));
    oversized.truncate(MAX_KEY_SET);
    assert_eq!(check_key_set(&oversized), Ok(()));
    let twice = set(&[issuer.p256_jwk(), other.p256_jwk()]);
    assert_eq!(check_key_set(&twice), Err(TokenError::KeySet), "two keys with one id");
    for bad in [&b""[..], b"{}", b"[]", b"{\"keys\":[]}", b"{\"keys\":{}}", b"\xff"] {
        assert_eq!(check_key_set(bad), Err(TokenError::KeySet));
    }
}

#[test]
fn weak_and_foreign_keys_are_passed_over() {
    let issuer = Issuer::new();
    let (rsa, p256) = (issuer.rsa_jwk(), issuer.p256_jwk());
    for bad in [
        with(rsa.clone(), "e", json!(encode(&[3]))),
        with(rsa.clone(), "use", json!("enc")),
        with(rsa.clone(), "alg", json!("RS512")),
        with(rsa.clone(), "kid", Value::Null),
        with(rsa.clone(), "n", json!("!")),
        with(p256.clone(), "crv", json!("P-384")),
        with(p256.clone(), "x", json!(encode(&[1; 31]))),
        with(p256.clone(), "kty", json!("OKP")),
    ] {
        assert_eq!(check_key_set(&set(std::slice::from_ref(&bad))), Err(TokenError::KeySet), "{bad}");
        assert_eq!(check_key_set(&set(&[bad, with(p256.clone(), "kid", json!("z"))])), Ok(()));
    }
    let small = with(rsa, "n", json!(encode(&[0xff; 128])));
    let token = issuer.sign(&rs256(), &claims());
    assert_eq!(verify(&set(&[small]), &token, &expected(), NOW), Err(TokenError::Signature), "1024 bits");
}

proptest! {
    #[test]
    fn garbage_never_panics(token in "\\PC{0,80}\\.\\PC{0,80}\\.\\PC{0,80}", jwks in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify(&jwks, &token, &expected(), NOW).is_err());
        let honest = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"e","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;
        prop_assert!(verify(honest, &token, &expected(), NOW).is_err());
    }
}
