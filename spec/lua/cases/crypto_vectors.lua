-- crypto against the vectors that its algorithms were published with.

local A448 = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
local A896 = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn" ..
  "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
local MILLION = ("a"):rep(1000000)

-- algorithm, data, digest: RFC 1321 A.5, FIPS 180-4, FIPS 202, RFC 7693, RIPEMD-160
local HASHES = {
  { "md5", "", "d41d8cd98f00b204e9800998ecf8427e" },
  { "md5", "a", "0cc175b9c0f1b6a831c399e269772661" },
  { "md5", "abc", "900150983cd24fb0d6963f7d28e17f72" },
  { "md5", "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
  { "md5", "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
  { "md5", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "d174ab98d277d9f5a5611c2c9f419d9f" },
  { "md5", ("1234567890"):rep(8), "57edf4a22be3c955ac49da2e2107b67a" },
  { "sha1", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
  { "sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
  { "sha1", A448, "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
  { "sha1", MILLION, "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
  { "sha224", "", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f" },
  { "sha224", "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
  { "sha224", A448, "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525" },
  { "sha224", MILLION, "20794655980c91d8bbb4c1ea97618a4bf03f42581948b2ee4ee7ad67" },
  { "sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
  { "sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
  { "sha256", A448, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
  { "sha256", A896, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
  { "sha256", MILLION, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
  { "sha384", "",
    "38b060a751ac96384cd9327eb1b1e36a21fdb71114be0743" ..
    "4c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b" },
  { "sha384", "abc",
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163" ..
    "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
  { "sha384", A896,
    "09330c33f71147e83d192fc782cd1b4753111b173b3b05d2" ..
    "2fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039" },
  { "sha384", MILLION,
    "9d0e1809716474cb086e834e310a4a1ced149e9c00f24852" ..
    "7972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985" },
  { "sha512", "",
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" ..
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e" },
  { "sha512", "abc",
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" ..
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
  { "sha512", A896,
    "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018" ..
    "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909" },
  { "sha512", MILLION,
    "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb" ..
    "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b" },
  { "sha512-256", "abc", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23" },
  { "sha512-256", A896, "3928e184fb8690f840da3988121d31be65cb9d3ef83ee6146feac861e19b563a" },
  { "sha3-224", "", "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7" },
  { "sha3-224", "abc", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf" },
  { "sha3-256", "", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a" },
  { "sha3-256", "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" },
  { "sha3-256", A448, "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376" },
  { "sha3-384", "",
    "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61" ..
    "995e71bbee983a2ac3713831264adb47fb6bd1e058d5f004" },
  { "sha3-512", "",
    "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6" ..
    "15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26" },
  { "sha3-512", "abc",
    "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e" ..
    "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0" },
  { "blake2b512", "abc",
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" ..
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923" },
  { "blake2s256", "abc", "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982" },
  { "ripemd160", "", "9c1185a5c5e9fc54612808977ee8f548b2258d31" },
  { "ripemd160", "abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc" },
}

local KEY4 = "\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15\16\17\18\19\20\21\22\23\24\25"
local LONG = "This is a test using a larger than block-size key and a larger than block-size data. " ..
  "The key needs to be hashed before being used by the HMAC algorithm."

-- algorithm, key, data, HMAC: RFC 4231 4, RFC 2202 2 and 3
local HMACS = {
  { "sha224", ("\x0b"):rep(20), "Hi There",
    "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22" },
  { "sha224", "Jefe", "what do ya want for nothing?",
    "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44" },
  { "sha224", ("\xaa"):rep(20), ("\xdd"):rep(50),
    "7fb3cb3588c6c1f6ffa9694d7d6ad2649365b0c1f65d69d1ec8333ea" },
  { "sha224", KEY4, ("\xcd"):rep(50),
    "6c11506874013cac6a2abc1bb382627cec6a90d86efc012de7afec5a" },
  { "sha224", ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
    "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e" },
  { "sha224", ("\xaa"):rep(131), LONG,
    "3a854166ac5d9f023f54d517d0b39dbd946770db9c2b95c9f6f565d1" },
  { "sha256", ("\x0b"):rep(20), "Hi There",
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
  { "sha256", "Jefe", "what do ya want for nothing?",
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
  { "sha256", ("\xaa"):rep(20), ("\xdd"):rep(50),
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
  { "sha256", KEY4, ("\xcd"):rep(50),
    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
  { "sha256", ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
  { "sha256", ("\xaa"):rep(131), LONG,
    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
  { "sha384", ("\x0b"):rep(20), "Hi There",
    "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6" ..
    "82aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6" },
  { "sha384", "Jefe", "what do ya want for nothing?",
    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47" ..
    "e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649" },
  { "sha384", ("\xaa"):rep(20), ("\xdd"):rep(50),
    "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9feb" ..
    "e83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27" },
  { "sha384", KEY4, ("\xcd"):rep(50),
    "3e8a69b7783c25851933ab6290af6ca77a9981480850009c" ..
    "c5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb" },
  { "sha384", ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
    "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f" ..
    "3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952" },
  { "sha384", ("\xaa"):rep(131), LONG,
    "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9a" ..
    "dccebb82461e99c5a678cc31e799176d3860e6110c46523e" },
  { "sha512", ("\x0b"):rep(20), "Hi There",
    "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde" ..
    "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
  { "sha512", "Jefe", "what do ya want for nothing?",
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554" ..
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
  { "sha512", ("\xaa"):rep(20), ("\xdd"):rep(50),
    "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39" ..
    "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb" },
  { "sha512", KEY4, ("\xcd"):rep(50),
    "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db" ..
    "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd" },
  { "sha512", ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
    "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352" ..
    "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
  { "sha512", ("\xaa"):rep(131), LONG,
    "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944" ..
    "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58" },
  { "md5", ("\x0b"):rep(16), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d" },
  { "md5", "Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738" },
  { "sha1", ("\x0b"):rep(20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00" },
  { "sha1", "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
  { "sha256", "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
}

return { hashes = HASHES, hmacs = HMACS }
