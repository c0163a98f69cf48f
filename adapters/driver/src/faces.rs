//! The two faces of what is written once: the same methods for tasks, to be awaited, and for threads.

/// Gives a type over a [`Loop`](crate::loops::Loop) its methods of both colours. The block of each is
/// a future of the engine's; for threads it is run to its end where it is called. In signatures `B`
/// stands for the body of an answer and `M` for what a server sends; `[name: Type]` before the
/// arguments is one of that type over the same loop.
macro_rules! faces {
    ($face:ident {
        $(
            $(#[$meta:meta])*
            fn $name:ident $(<$generic:ident: $bound:ident>)? $([$first:ident: $of:ident])?
                ($($args:tt)*) -> $output:ty $engine:block
        )*
    }) => {
        #[cfg(feature = "async")]
        const _: () = {
            use $crate::ports::{AsyncBody, AsyncHttp, AsyncListener, Runtime};
            #[allow(unused_imports, reason = "not every face gives messages")]
            use $crate::tasks::{Messages as M, Tasks};

            impl<H: AsyncHttp<Body = B>, L: AsyncListener, R: Runtime, B: AsyncBody>
                $face<Tasks<H, L, R>>
            {
                $(
                    $(#[$meta])*
                    pub async fn $name $(<$generic: $bound>)? (
                        $($first: $of<Tasks<H, L, R>>,)?
                        $($args)*
                    ) -> $output {
                        let future = $engine;
                        future.await
                    }
                )*
            }
        };

        const _: () = {
            use $crate::ports::{Body, Http, Listener};
            #[cfg(feature = "transport")]
            #[allow(unused_imports, reason = "not every face gives messages")]
            use $crate::threads::Messages as M;
            use $crate::threads::Threads;

            #[allow(dead_code, reason = "not every face gives bodies")]
            type B = Box<dyn Body>;

            impl<H: Http, L: Listener> $face<Threads<H, L>> {
                $(
                    $(#[$meta])*
                    pub fn $name $(<$generic: $bound>)? (
                        $($first: $of<Threads<H, L>>,)?
                        $($args)*
                    ) -> $output {
                        $crate::parked::block_on($engine)
                    }
                )*
            }
        };
    };
}

pub(crate) use faces;
