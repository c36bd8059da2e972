//! Both families of a name, asked for side by side (RFC 8305 section 3).

use super::answer::{Failure, Found, LookUpSource};
use super::flights::Flight;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long the family that is tried first may come after the other (RFC 8305 section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long the other family is waited for when one says that there is no such name. That should go for all (RFC 8020); but
/// there are servers that say so of AAAA where there is an A (RFC 4074 section 4.2), and others that drop AAAA.
const AFTER_NO_SUCH_NAME: Duration = Duration::from_millis(500);

/// What is known of a name.
#[derive(Debug)]
pub struct Addresses {
    /// Addresses to begin with, the first choice first.
    pub now: Vec<IpAddr>,
    /// Those of the other family, if they are still being asked for.
    pub later: Option<LaterAddresses>,
}

impl From<Vec<IpAddr>> for Addresses {
    fn from(now: Vec<IpAddr>) -> Self {
        Self { now, later: None }
    }
}

impl From<Arc<[IpAddr]>> for Addresses {
    fn from(now: Arc<[IpAddr]>) -> Self {
        now.to_vec().into()
    }
}

/// Addresses that may still come.
#[derive(Debug)]
pub struct LaterAddresses(Flight);

impl LaterAddresses {
    /// Waits for them; there may be none. May be given up and waited for again.
    pub async fn arrive(&mut self) -> Vec<IpAddr> {
        let found = self.0.landed().await;
        found.map_or_else(|_| Vec::new(), |found| found.to_vec())
    }
}

/// One family of a name, as far as it is known.
#[derive(Debug)]
pub(super) enum FamilyAsked {
    Known(Found),
    Flying(Flight),
}

impl FamilyAsked {
    pub(super) fn source(&self) -> LookUpSource {
        match self {
            Self::Known(_) => LookUpSource::Cache,
            Self::Flying(flight) if flight.joined => LookUpSource::Joined,
            Self::Flying(_) => LookUpSource::Network,
        }
    }

    /// Waits until it is known. May be given up and waited for again.
    pub(super) async fn found(&mut self) -> Found {
        match self {
            Self::Known(found) => found.clone(),
            Self::Flying(flight) => flight.landed().await,
        }
    }
}

/// The addresses of a name whose families are being asked for, as soon as there are some to begin with. `first` is the
/// family that is tried first.
pub(super) async fn side_by_side(
    mut first: FamilyAsked,
    mut other: FamilyAsked,
) -> Result<Addresses, Failure> {
    tokio::select! {
        biased;
        found = first.found() => match found {
            Ok(found) => Ok(beside(found, other)),
            Err(failure) => alone(other, failure).await,
        },
        found = other.found() => match found {
            Ok(found) => match timeout(RESOLUTION_DELAY, first.found()).await {
                Ok(Ok(better)) => Ok(beside(better, FamilyAsked::Known(Ok(found)))),
                Ok(Err(_)) => Ok(found.into()),
                Err(_) => Ok(beside(found, first)),
            },
            Err(failure) => alone(first, failure).await,
        },
    }
}

/// These addresses, and those of the other family now or later.
fn beside(found: Arc<[IpAddr]>, other: FamilyAsked) -> Addresses {
    let mut addresses = Addresses::from(found);
    let known = match other {
        FamilyAsked::Known(found) => found,
        FamilyAsked::Flying(flight) => match flight.so_far() {
            Some(found) => found,
            None => {
                addresses.later = Some(LaterAddresses(flight));
                return addresses;
            }
        },
    };
    addresses.now.extend(known.iter().flat_map(|found| found.iter()));
    addresses
}

/// The addresses of the family that is left, where the other one has failed.
async fn alone(mut left: FamilyAsked, failure: Failure) -> Result<Addresses, Failure> {
    let found = match failure {
        Failure::NoSuchName => timeout(AFTER_NO_SUCH_NAME, left.found())
            .await
            .unwrap_or(Err(failure)),
        _ => left.found().await,
    };
    found.map(Addresses::from).map_err(|this| failure.or(this))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::dns::answer::{Family, Question};
    use crate::dial::dns::flights::Flights;
    use std::time::Instant;
    use tokio::sync::oneshot;

    const V6: &str = "2001:db8::1";
    const V4: &str = "192.0.2.1";

    fn found(ip: &str) -> Found {
        Ok(vec![ip.parse().unwrap()].into())
    }

    /// A query, and what ends it.
    fn flying(family: Family) -> (FamilyAsked, oneshot::Sender<Found>) {
        let (answer, answered) = oneshot::channel::<Found>();
        let question = Question {
            name: "a.test".into(),
            family,
        };
        let flights = Arc::new(Flights::default());
        let flight = flights.join(
            question,
            || None,
            |_| async { answered.await.unwrap_or(Err(Failure::Failed)) },
        );
        (FamilyAsked::Flying(flight.unwrap()), answer)
    }

    fn texts(ips: &[IpAddr]) -> Vec<String> {
        ips.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn what_is_known_is_told_in_the_order_of_choice() {
        let both = side_by_side(FamilyAsked::Known(found(V6)), FamilyAsked::Known(found(V4)))
            .await
            .unwrap();
        assert_eq!(texts(&both.now), [V6, V4]);
        assert!(both.later.is_none());
        for failure in [Failure::NoAddress, Failure::NoSuchName, Failure::Timeout] {
            let one = side_by_side(FamilyAsked::Known(Err(failure)), FamilyAsked::Known(found(V4)));
            assert_eq!(texts(&one.await.unwrap().now), [V4], "{failure:?}");
            let one = side_by_side(FamilyAsked::Known(found(V6)), FamilyAsked::Known(Err(failure)));
            assert_eq!(texts(&one.await.unwrap().now), [V6], "{failure:?}");
        }
        let none = side_by_side(
            FamilyAsked::Known(Err(Failure::NoAddress)),
            FamilyAsked::Known(Err(Failure::ServerFailure)),
        );
        assert_eq!(none.await.unwrap_err(), Failure::ServerFailure);
    }

    #[tokio::test]
    async fn the_first_choice_does_not_wait_for_the_other() {
        let (other, answer) = flying(Family::V4);
        let mut addresses = side_by_side(FamilyAsked::Known(found(V6)), other).await.unwrap();
        assert_eq!(texts(&addresses.now), [V6]);
        answer.send(found(V4)).unwrap();
        assert_eq!(texts(&addresses.later.as_mut().unwrap().arrive().await), [V4]);
    }

    #[tokio::test]
    async fn the_other_waits_a_moment_for_the_first_choice_and_no_longer() {
        let (first, answer) = flying(Family::V6);
        let begun = Instant::now();
        let mut addresses = side_by_side(first, FamilyAsked::Known(found(V4))).await.unwrap();
        assert!(begun.elapsed() >= RESOLUTION_DELAY);
        assert_eq!(texts(&addresses.now), [V4]);
        answer.send(Err(Failure::Timeout)).unwrap();
        assert!(addresses.later.as_mut().unwrap().arrive().await.is_empty());

        // It comes within the moment.
        let (first, answer) = flying(Family::V6);
        answer.send(found(V6)).unwrap();
        let addresses = side_by_side(first, FamilyAsked::Known(found(V4))).await.unwrap();
        assert_eq!(texts(&addresses.now), [V6, V4]);
        assert!(addresses.later.is_none());
    }

    #[tokio::test]
    async fn no_such_name_does_not_wait_for_a_family_that_nobody_answers_for() {
        for turned in [false, true] {
            let (silent, _answer) = flying(Family::V6);
            let none = FamilyAsked::Known(Err(Failure::NoSuchName));
            let (first, other) = if turned { (none, silent) } else { (silent, none) };
            assert_eq!(side_by_side(first, other).await.unwrap_err(), Failure::NoSuchName);
        }
        // RFC 4074 section 4.2.
        let (late, answer) = flying(Family::V4);
        answer.send(found(V4)).unwrap();
        let addresses = side_by_side(FamilyAsked::Known(Err(Failure::NoSuchName)), late).await;
        assert_eq!(texts(&addresses.unwrap().now), [V4]);
    }
}
