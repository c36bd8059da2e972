//! A directory that tests play, and a watcher that remembers.

use super::login::{Login, Ticketed, Unavailable, Verified};
use super::road::{Opening, Road};
use super::watch::{AdmitWatch, Answer, CredentialsJudged};
use crate::wire::names::Authority;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Says yes to one password of everybody, in group `staff`. Clones are the same one.
#[derive(Debug, Clone)]
pub struct TestDirectory(Arc<State>);

#[derive(Debug)]
struct State {
    password: Mutex<String>,
    is_down: AtomicBool,
    asked: AtomicUsize,
    /// A question waits until it may be answered.
    may_answer: Semaphore,
}

impl PartialEq for TestDirectory {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TestDirectory {}

impl TestDirectory {
    /// Answers at once.
    pub(crate) fn of(password: &str) -> Self {
        let directory = Self::silent(password);
        directory.answer(Semaphore::MAX_PERMITS);
        directory
    }

    /// Answers when it is told to.
    pub(crate) fn silent(password: &str) -> Self {
        Self(Arc::new(State {
            password: Mutex::new(password.to_owned()),
            is_down: AtomicBool::default(),
            asked: AtomicUsize::default(),
            may_answer: Semaphore::new(0),
        }))
    }

    /// Answers so many questions.
    pub(crate) fn answer(&self, count: usize) {
        self.0.may_answer.add_permits(count);
    }

    pub(crate) fn set_password(&self, password: &str) {
        password.clone_into(&mut self.0.password.lock().unwrap());
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::Relaxed);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    pub(crate) async fn verify(
        &self,
        login: &Login,
        password: &[u8],
    ) -> Result<Option<Verified>, Unavailable> {
        self.turn().await?;
        let is_right = self.0.password.lock().unwrap().as_bytes() == password;
        Ok(is_right.then(|| Verified {
            name: login.canonical.clone(),
            groups: vec!["Staff".to_owned()],
        }))
    }

    pub(crate) async fn groups_of(&self, user: &Ticketed) -> Result<Vec<String>, Unavailable> {
        self.turn().await?;
        Ok(match user {
            Ticketed::Groups(sids) => sids.iter().map(|sid| format!("Named {sid}")).collect(),
            Ticketed::User(principal) => vec![format!("Of {principal}")],
        })
    }

    /// A question's turn to be answered.
    async fn turn(&self) -> Result<(), Unavailable> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        self.0.may_answer.acquire().await.unwrap().forget();
        if self.0.is_down.load(Ordering::Relaxed) {
            let text = "it is down".to_owned();
            return Err(Unavailable { text });
        }
        Ok(())
    }
}

/// Remembers what it was told, as text.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    /// What it was told since it was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl AdmitWatch for Told {
    fn judged(&self, judged: &CredentialsJudged<'_>) {
        self.note(format!(
            "{} {} by {}: {}",
            judged.scheme.label(),
            judged.claim.label(),
            judged.source.label(),
            judged.claimed.unwrap_or("-"),
        ));
    }

    fn asked(&self, directory: &'static str, answer: Answer, _took: Duration) {
        self.note(format!("{directory}: {}", answer.label()));
    }

    fn server_failed(&self, directory: &'static str, server: &str, why: &str) {
        self.note(format!("{directory} {server} failed: {why}"));
    }

    fn locked_out(&self, claimed: &str, client: IpAddr, attempts: u32, _rest: Duration) {
        self.note(format!("{claimed} locked out by {client} after {attempts}"));
    }
}

/// Hears nothing.
pub(crate) fn deaf() -> Arc<dyn AdmitWatch> {
    #[derive(Debug)]
    struct Deaf;
    impl AdmitWatch for Deaf {
        fn judged(&self, _judged: &CredentialsJudged<'_>) {}
        fn asked(&self, _directory: &'static str, _answer: Answer, _took: Duration) {}
        fn locked_out(&self, _claimed: &str, _client: IpAddr, _attempts: u32, _rest: Duration) {}
    }
    Arc::new(Deaf)
}

/// Leads as the system does.
pub(crate) fn straight() -> Arc<dyn Road> {
    struct Straight;
    impl Road for Straight {
        fn open<'a>(&'a self, to: &'a Authority) -> Opening<'a> {
            Box::pin(async move {
                let stream = TcpStream::connect(to.to_string()).await;
                let stream = stream.map_err(|error| error.to_string())?;
                Ok(stream.into())
            })
        }
    }
    Arc::new(Straight)
}
