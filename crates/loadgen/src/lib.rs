//! Sends the planned requests, stamps every token as it arrives, and yields one record per request.
