//! What is asked of the hub: where a file is, and its bytes.

use super::HubError;
use super::cache::{folder_name, is_hash, link};
use crate::hash::hex;
use nocturne_models::files::{remove_if_there, sync_folder};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;
use ureq::config::RedirectAuthHeaders;
use ureq::http::Response;
use ureq::{Agent, Body};

/// How often the hub may send us elsewhere.
const REDIRECTS: usize = 5;

/// Until a connection stands, and until an answer begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// One repository of a hub.
pub struct Client<'a> {
    agent: Agent,
    endpoint: &'a str,
    token: Option<&'a str>,
    name: &'a str,
}

/// A file as the hub has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The commit that it is of.
    pub commit: String,
    /// What its blob is called: of large files the SHA-256.
    pub etag: String,
    /// In bytes.
    pub size: u64,
}

impl<'a> Client<'a> {
    pub fn new(endpoint: &'a str, token: Option<&'a str>, name: &'a str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .user_agent(concat!("nocturne/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: agent.into(), endpoint, token, name }
    }

    /// Asks for a file of a branch or a commit; none where there is none of this name.
    pub fn look(&self, revision: &str, file: &str) -> Result<Option<Remote>, HubError> {
        let mut url = self.url(revision, file);
        for _ in 0..=REDIRECTS {
            let mut request = self.agent.head(&url).header("Accept-Encoding", "identity");
            if let Some(token) = self.token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            // Large files are elsewhere, and only the hub's own answer says what they are.
            let request = request.config().max_redirects(0).max_redirects_will_error(false).build();
            let answer = request.call().map_err(|error| self.unreachable(&error))?;
            let status = answer.status();
            let said = |header: &str| answer.headers().get(header).and_then(|value| value.to_str().ok());
            match (status.as_u16(), said("x-error-code")) {
                (404, None | Some("EntryNotFound")) => return Ok(None),
                (401 | 403 | 404, _) => return Err(self.refused(status.as_u16())),
                _ => {}
            }
            if let Some(commit) = said("x-repo-commit") {
                return remote(&answer, commit, &url).map(Some);
            }
            match said("location").filter(|_| status.is_redirection()) {
                Some(location) => url = self.within(location, &url)?,
                None => return Err(wrong(&url, format!("status {status}"), "a file of the hub")),
            }
        }
        Err(wrong(&url, format!("more than {REDIRECTS} redirections"), "an answer"))
    }

    /// Has these files in the cache, by their names.
    pub fn bring(&self, cache: &Path, repository: &Path, files: &[(String, Remote)]) -> Result<(), HubError> {
        let new = |remote: &Remote| !repository.join("blobs").join(&remote.etag).is_file();
        let list: Vec<String> = files
            .iter()
            .filter(|(_, remote)| new(remote))
            .map(|(file, remote)| format!("{file} ({})", bytes(remote.size)))
            .collect();
        if !list.is_empty() {
            tracing::info!("downloading {} of {} into {}", list.join(", "), self.name, cache.display());
        }
        for (file, remote) in files {
            self.fetch(cache, repository, file, remote)?;
            let fault = |source| HubError::Cache { path: repository.to_owned(), source };
            link(repository, &remote.commit, file, &remote.etag).map_err(fault)?;
        }
        Ok(())
    }

    /// Has the blob of a file in the cache, whole and checked. What an earlier call left half done is gone on with.
    fn fetch(&self, cache: &Path, repository: &Path, file: &str, remote: &Remote) -> Result<(), HubError> {
        let (blobs, locks) = (repository.join("blobs"), cache.join(".locks").join(folder_name(self.name)));
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| HubError::Cache { path, source }
        };
        let blob = blobs.join(&remote.etag);
        for folder in [&blobs, &locks] {
            fs::create_dir_all(folder).map_err(fault(folder))?;
        }
        // Python's libraries take the same lock.
        let lock = locks.join(format!("{}.lock", remote.etag));
        let held = File::create(&lock).and_then(|held| held.lock().map(|()| held)).map_err(fault(&lock))?;
        if blob.is_file() {
            return Ok(());
        }
        let part = blobs.join(format!("{}.incomplete", remote.etag));
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part);
        let mut out = opened.map_err(fault(&part))?;
        let url = self.url(&remote.commit, file);
        self.receive(&url, &mut out, remote.size, &part)?;
        if let Err(error) = check(&url, &mut out, remote, &part) {
            remove_if_there(&part).map_err(fault(&part))?;
            return Err(error);
        }
        let placed = out.sync_all().and_then(|()| fs::rename(&part, &blob)).and_then(|()| sync_folder(&blobs));
        placed.map_err(fault(&blob))?;
        drop(held);
        Ok(())
    }

    /// Writes what is missing of a file behind what is there.
    fn receive(&self, url: &str, out: &mut File, size: u64, part: &Path) -> Result<(), HubError> {
        let fault = |source| HubError::Cache { path: part.to_owned(), source };
        let mut have = out.seek(SeekFrom::End(0)).map_err(fault)?;
        if have == size {
            return Ok(());
        }
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if (1..size).contains(&have) {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let answer = request.call().map_err(|error| self.unreachable(&error))?;
        match answer.status().as_u16() {
            206 => {}
            200 => {
                out.set_len(0).and_then(|()| out.rewind()).map_err(fault)?;
                have = 0;
            }
            status @ (401 | 403 | 404) => return Err(self.refused(status)),
            status => return Err(wrong(url, format!("status {status}"), "a file")),
        }
        // One byte more than there should be, to see that there is one.
        let mut body = answer.into_body().into_reader().take((size + 1).saturating_sub(have));
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = body.read(&mut buffer).map_err(|error| self.unreachable(&error))?;
            if count == 0 {
                return Ok(());
            }
            io::Write::write_all(out, &buffer[..count]).map_err(fault)?;
        }
    }

    /// Where the hub sends us, if that is the hub: nobody else gets the token.
    fn within(&self, location: &str, url: &str) -> Result<String, HubError> {
        let host = self.endpoint.find("://").map_or(0, |scheme| scheme + 3);
        let origin = &self.endpoint[..self.endpoint[host..].find('/').map_or(self.endpoint.len(), |end| host + end)];
        if location.starts_with('/') && !location.starts_with("//") {
            return Ok(format!("{origin}{location}"));
        }
        if location.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/')) {
            return Ok(location.to_owned());
        }
        Err(wrong(url, format!("a redirection to {location}"), "the hub's own answer"))
    }

    fn url(&self, revision: &str, file: &str) -> String {
        format!("{}/{}/resolve/{revision}/{file}", self.endpoint, self.name)
    }

    /// That the repository has a file under none of these names.
    pub fn missing(&self, names: &[&str]) -> HubError {
        HubError::Missing { endpoint: self.endpoint.to_owned(), name: self.name.to_owned(), files: names.join(" or ") }
    }

    fn refused(&self, status: u16) -> HubError {
        HubError::Refused { endpoint: self.endpoint.to_owned(), name: self.name.to_owned(), status }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> HubError {
        let (endpoint, name) = (self.endpoint.to_owned(), self.name.to_owned());
        HubError::Unreachable { endpoint, name, files: String::new(), reason: error.to_string() }
    }
}

/// What the answer says about the file.
fn remote(answer: &Response<Body>, commit: &str, url: &str) -> Result<Remote, HubError> {
    let said = |header: &str| answer.headers().get(header).and_then(|value| value.to_str().ok());
    let etag = said("x-linked-etag").or_else(|| said("etag")).unwrap_or_default();
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    let size = said("x-linked-size").or_else(|| said("content-length")).and_then(|size| size.parse().ok());
    match size {
        Some(size) if is_hash(commit) && is_hash(etag) => {
            Ok(Remote { commit: commit.to_owned(), etag: etag.to_owned(), size })
        }
        _ => Err(wrong(url, format!("commit `{commit}`, etag `{etag}`, size {size:?}"), "two hashes and a size")),
    }
}

/// Whether a file is what it should be: its length, and where its name is a SHA-256, that.
fn check(url: &str, out: &mut File, remote: &Remote, part: &Path) -> Result<(), HubError> {
    let fault = |source| HubError::Cache { path: part.to_owned(), source };
    let length = out.seek(SeekFrom::End(0)).map_err(fault)?;
    if length != remote.size {
        return Err(wrong(url, format!("{length} bytes"), &remote.size.to_string()));
    }
    if remote.etag.len() == 64 {
        let mut hasher = Sha256::new();
        out.rewind().and_then(|()| io::copy(out, &mut hasher)).map_err(fault)?;
        let found = hex(hasher);
        if found != remote.etag {
            return Err(wrong(url, format!("SHA-256 {found}"), &remote.etag));
        }
    }
    Ok(())
}

fn wrong(url: &str, found: String, expected: &str) -> HubError {
    HubError::Answer { url: url.to_owned(), found, expected: expected.to_owned() }
}

/// A size for people.
fn bytes(size: u64) -> String {
    match size as f64 {
        size if size < 1e6 => format!("{:.1} kB", size / 1e3),
        size if size < 1e9 => format!("{:.1} MB", size / 1e6),
        size => format!("{:.2} GB", size / 1e9),
    }
}
