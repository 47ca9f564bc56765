//! Amounts of CPU and bytes as people write them.

/// `500m`, `2` or `1.5`, as thousandths of a CPU.
pub(super) fn cpu(text: &str) -> Result<u64, String> {
    let millis = match text.strip_suffix('m') {
        Some(millis) => whole(millis),
        None => decimal(text),
    };
    millis.filter(|millis| *millis > 0).ok_or_else(|| "write it as 500m, 2 or 1.5".into())
}

/// `512MiB`, `20Gi` or a bare number of bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => Some(0),
        "KiB" | "Ki" => Some(10),
        "MiB" | "Mi" => Some(20),
        "GiB" | "Gi" => Some(30),
        "TiB" | "Ti" => Some(40),
        _ => None,
    };
    let amount = whole(number).zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    amount.filter(|bytes| *bytes > 0).ok_or_else(|| "write it as 512MiB, 20GiB or a number of bytes".into())
}

fn whole(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// At most three places, as thousandths.
fn decimal(text: &str) -> Option<u64> {
    let (whole_part, places) = text.split_once('.').unwrap_or((text, "0"));
    if !(1..=3).contains(&places.len()) {
        return None;
    }
    let thousandths = whole(&format!("{places:0<3}"))?;
    whole(whole_part)?.checked_mul(1000)?.checked_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_whole_decimal_or_thousandths() {
        assert_eq!(["500m", "2", "1.5", "0.25"].map(|text| cpu(text).unwrap()), [500, 2000, 1500, 250]);
        for bad in ["", "m", "0", "0m", "-1", "1.", ".5", "1.2345", "2c", "1e3", "99999999999999999999"] {
            assert!(cpu(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_have_binary_units() {
        let good = ["1", "7B", "1KiB", "512Mi", "20GiB"].map(|text| bytes(text).unwrap());
        assert_eq!(good, [1, 7, 1024, 512 << 20, 20 << 30]);
        for bad in ["", "0", "MiB", "1MB", "1 GiB", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
