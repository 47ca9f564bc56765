//! The vendor's administrator, offline: keys, CAs, trust bundle, inventory entry.

use anyhow::{Context, Result};

use crate::demo::stage::Stage;

/// Makes the vendor's keys and what follows from them.
pub async fn keys(stage: &mut Stage) -> Result<()> {
    stage.told.step("The vendor makes its keys", "vendor's administrator, offline");
    for line in KEYS {
        stage.shell.told(&mut stage.told, line).await?;
    }
    stage.shell.run(&mut stage.told, TRUST_BUNDLE).await?;
    stage.told.good("the customer pins vendor.pub, and nothing else");
    Ok(())
}

/// Certifies a customer's exported keys, comparing the words that the customer read out.
pub async fn certify(stage: &mut Stage, printed: &str) -> Result<()> {
    let words = words(printed).context("no 8 words in what the export printed")?;
    let registration = "--registration customer/registration.pb";
    let entry = format!(
        "tunnel-certs statement inventory {registration} --words '{words}' --cluster acme/prod --sequence 1 \
         --key vendor/vendor.key --out customer/entry.pb"
    );
    let leaf = format!(
        "tunnel-certs issue replica {registration} --words '{words}' --ca vendor/mesh-ca.pem \
         --ca-key vendor/mesh-ca.key --vendor initech --id r1 --out customer/replica.pem"
    );
    stage.shell.told(&mut stage.told, &entry).await?;
    stage.shell.told(&mut stage.told, &leaf).await?;
    stage.told.good("the vendor signed what the customer read out");
    Ok(())
}

/// The 8 words in a text: the last of a line that ends with so many lower-case words.
fn words(printed: &str) -> Option<String> {
    printed.lines().find_map(|line| {
        let all: Vec<&str> = line.split_whitespace().collect();
        let last = all.get(all.len().checked_sub(8)?..)?;
        let plain = last
            .iter()
            .all(|word| (3..=8).contains(&word.len()) && word.bytes().all(|c| c.is_ascii_lowercase()));
        plain.then(|| last.join(" "))
    })
}

const KEYS: [&str; 6] = [
    "tunnel-certs key vendor --plain --out vendor/vendor.key",
    "tunnel-certs ca mesh --name initech --out vendor/mesh-ca.pem --key-out vendor/mesh-ca.key",
    "tunnel-certs ca operator --name initech --out vendor/operator-ca.pem --key-out vendor/operator-ca.key",
    "tunnel-certs issue broker --ca vendor/mesh-ca.pem --ca-key vendor/mesh-ca.key --vendor initech --id b1 --out vendor/broker.pem --key-out vendor/broker.key",
    "tunnel-certs issue api-server --suffix tunnel.example --out vendor/api.pem --key-out vendor/api.key",
    "tunnel-certs issue operator --ca vendor/operator-ca.pem --ca-key vendor/operator-ca.key --vendor initech --name ada --out vendor/operator.pem --key-out vendor/operator.key",
];

const TRUST_BUNDLE: &str = "tunnel-certs statement trust-bundle --vendor initech --suffix tunnel.example --sequence 1 --vendor-key vendor/vendor.pub --mesh-root vendor/mesh-ca.pem --operator-root vendor/operator-ca.pem --allow-private 127.0.0.0/8 --key vendor/vendor.key --out vendor/trust-bundle.pb";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_words_to_read_out() {
        let printed =
            "written to registration.pb\nwords: able about above absent absorb abstract absurd abuse\n";
        assert_eq!(words(printed).unwrap(), "able about above absent absorb abstract absurd abuse");
        assert_eq!(words("only a few words"), None);
    }
}
