//! A pass as files, for clients that are not ours.

use std::{fs, path::Path};

use anyhow::Result;
use tunnel_certs::credential::certificate_to_pem;

use super::operator::Pass;

impl Pass {
    /// Writes `ca.pem`, `cert.pem` and `key.pem`, and gives grpcurl's flags for them; what follows is the address.
    pub fn grpcurl_flags(&self, folder: &Path) -> Result<Vec<String>> {
        let anchors = self.anchors.certificates().iter();
        let anchors: String = anchors.map(|anchor| certificate_to_pem(anchor)).collect();
        let files = [
            ("-cacert", "ca.pem", anchors),
            ("-cert", "cert.pem", certificate_to_pem(self.credential.certificate())),
            ("-key", "key.pem", self.credential.key().to_pem().to_string()),
        ];
        let mut flags = vec!["-servername".to_owned(), self.host.clone()];
        for (flag, name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text)?;
            flags.extend([flag.to_owned(), path.display().to_string()]);
        }
        Ok(flags)
    }
}
